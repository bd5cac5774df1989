// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

// connqueue is the connection queue of an instance: it accepts every connection, lets a fixed
// number of them be active, and holds the rest without reading a byte of them. Bytes are passed on
// by splice (io.Copy between two TCP connections), unseen.
package main

import (
	"context"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"fantail/lab/internal/status"
)

var (
	listen  = flag.String("listen", ":80", "address to accept on")
	backend = flag.String("to", "127.0.0.1:8080", "address to pass on to")
	places  = flag.Int("places", 15, "how many connections are active at a time")
	unix    = flag.String("status", "", "unix socket that answers the counts")
	stall   = flag.Bool("stall", false, "never accept")
	leak    = flag.Bool("leak", false, "never close")

	accepted, held, active, dialled atomic.Int64

	leaked []net.Conn // keeps them from the collector, which would close them
	mu     sync.Mutex
)

// pass copies one direction, and passes its end on as well.
func pass(to, from *net.TCPConn, done chan<- struct{}) {
	io.Copy(to, from)
	if !*leak {
		to.CloseWrite()
	}
	done <- struct{}{}
}

func serve(in *net.TCPConn, place chan struct{}) {
	held.Add(1)
	place <- struct{}{}
	held.Add(-1)
	active.Add(1)
	defer func() {
		active.Add(-1)
		<-place
	}()
	dial, err := net.Dial("tcp", *backend)
	if err != nil {
		log.Print(err)
		in.Close()
		return
	}
	out := dial.(*net.TCPConn)
	dialled.Add(1)
	done := make(chan struct{})
	go pass(out, in, done)
	go pass(in, out, done)
	<-done
	if *leak {
		mu.Lock()
		leaked = append(leaked, in, out)
		mu.Unlock()
		select {}
	}
	<-done
	in.Close()
	out.Close()
}

func main() {
	flag.Parse()
	config := net.ListenConfig{}
	if *leak {
		config.KeepAlive = -1 // it would find out after 15 s that the other side has forgotten
	}
	l, err := config.Listen(context.Background(), "tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	status.Serve(*unix, func() map[string]int64 {
		return map[string]int64{"accepted": accepted.Load(), "held": held.Load(),
			"active": active.Load(), "dialled": dialled.Load()}
	}, func(*http.Request) error { return nil })
	if *stall {
		select {}
	}
	place := make(chan struct{}, *places)
	for {
		in, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		accepted.Add(1)
		go serve(in.(*net.TCPConn), place)
	}
}
