// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

// goproxy KIND - from 127.0.0.1:8080 to 127.0.0.1:3000.
// queue: serves 15 connections and holds the rest unread, splicing; queue-copy: copying;
// queue-slow: sleeping between read and write (threads tell nothing); http: ReverseProxy.
package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"time"
)

const from, to = "127.0.0.1:8080", "127.0.0.1:3000"

type plain struct{ net.Conn } // hides what io.Copy would splice with

type reader struct {
	c     net.Conn
	sleep time.Duration
}

func (r reader) Read(b []byte) (int, error) {
	n, err := r.c.Read(b)
	time.Sleep(r.sleep)
	return n, err
}

func copyBytes(dst, src net.Conn, kind string) {
	switch kind {
	case "queue":
		io.Copy(dst, src)
	case "queue-copy":
		io.Copy(struct{ io.Writer }{plain{dst}}, reader{src, 0})
	default:
		io.Copy(struct{ io.Writer }{plain{dst}}, reader{src, 2 * time.Millisecond})
	}
	dst.(*net.TCPConn).CloseWrite()
}

func serve(c net.Conn, kind string) {
	defer c.Close()
	b, err := net.Dial("tcp", to)
	if err != nil {
		log.Print(err)
		return
	}
	defer b.Close()
	done := make(chan bool)
	go func() {
		copyBytes(b, c, kind)
		done <- true
	}()
	copyBytes(c, b, kind)
	<-done
}

func queue(kind string) {
	l, err := net.Listen("tcp", from)
	if err != nil {
		log.Fatal(err)
	}
	places := make(chan bool, 15)
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			places <- true
			serve(c, kind)
			<-places
		}()
	}
}

func main() {
	if os.Args[1] != "http" {
		queue(os.Args[1])
	}
	p := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to})
	log.Fatal(http.ListenAndServe(from, p))
}
