// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

// gateway is the API gateway: a reverse proxy with two ways to treat its backend.
//
//	pinned  each client connection has one backend connection, for as long as both last
//	pooled  backend connections belong to nobody. A request takes an idle one, or opens a new one
//	        although one is idle (`new`: the share of requests that do); afterwards the connection
//	        is kept, or not (`keep`)
//
// The way is changed while it runs: PUT /?way=pooled&new=1&keep=0 on its unix socket.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"fantail/lab/internal/status"
)

var (
	listen = flag.String("listen", ":80", "address of the clients")
	target = flag.String("to", "10.77.2.1:80", "address of the load balancer")
	unix   = flag.String("status", "", "unix socket for counts and orders")

	clients, requests, dialled, open atomic.Int64
)

type backend struct {
	net.Conn
	r    *bufio.Reader
	once sync.Once
}

func dial() (*backend, error) {
	c, err := net.Dial("tcp", *target)
	if err != nil {
		return nil, err
	}
	dialled.Add(1)
	open.Add(1)
	return &backend{Conn: c, r: bufio.NewReader(c)}, nil
}

func (b *backend) shut() {
	b.once.Do(func() {
		b.Close()
		open.Add(-1)
	})
}

// way is what is ordered; requests that are under way keep what they began with.
type way struct {
	pinned, keep bool
	fresh        float64
}

var (
	mu      sync.Mutex
	current = way{pinned: true, keep: true}
	owed    float64    // new connections that the share has earned so far
	idle    []*backend // the last one put back is the first one taken
)

// client is one client connection: in the pinned way it owns a backend connection.
type client struct {
	mu  sync.Mutex
	own *backend
}

type key struct{}

// take gives a backend connection, and whether it has been used before.
func take(w way, c *client) (*backend, bool, error) {
	if w.pinned {
		c.mu.Lock()
		b := c.own
		c.own = nil
		c.mu.Unlock()
		if b != nil {
			return b, true, nil
		}
		b, err := dial()
		return b, false, err
	}
	mu.Lock()
	owed += w.fresh
	wanted := owed >= 1
	if wanted {
		owed--
	}
	if n := len(idle); n > 0 && !wanted {
		b := idle[n-1]
		idle = idle[:n-1]
		mu.Unlock()
		return b, true, nil
	}
	mu.Unlock()
	b, err := dial()
	return b, false, err
}

func give(w way, c *client, b *backend) {
	switch {
	case w.pinned:
		c.mu.Lock()
		c.own = b
		c.mu.Unlock()
	case w.keep:
		mu.Lock()
		idle = append(idle, b)
		mu.Unlock()
	default:
		b.shut()
	}
}

func ask(b *backend, r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.Header.Del("Connection")
	if err := out.Write(b); err != nil {
		return nil, err
	}
	return http.ReadResponse(b.r, r)
}

func proxy(w http.ResponseWriter, r *http.Request) {
	requests.Add(1)
	if r.Header.Get("Upgrade") != "" {
		tunnel(w, r)
		return
	}
	c := r.Context().Value(key{}).(*client)
	mu.Lock()
	way := current
	mu.Unlock()
	for {
		b, used, err := take(way, c)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		answered, left := make(chan struct{}), make(chan bool)
		go func() { // a client that gives up ends its backend connection
			select {
			case <-r.Context().Done():
				b.shut()
				left <- true
			case <-answered:
				left <- false
			}
		}()
		resp, err := ask(b, r)
		if err != nil {
			close(answered)
			<-left
			b.shut()
			if used && r.Context().Err() == nil {
				continue // it had been closed while it was idle
			}
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		for name, values := range resp.Header {
			if name != "Connection" {
				w.Header()[name] = values
			}
		}
		w.WriteHeader(resp.StatusCode)
		_, err = io.Copy(w, resp.Body)
		close(answered)
		if <-left || err != nil || resp.Close {
			b.shut()
		} else {
			give(way, c, b)
		}
		return
	}
}

// tunnel joins a client connection and a new backend connection (WebSocket).
func tunnel(w http.ResponseWriter, r *http.Request) {
	b, err := dial()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer b.shut()
	if err := r.Write(b); err != nil {
		return
	}
	in, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer in.Close()
	go func() {
		io.Copy(b, rw)
		b.shut()
	}()
	io.Copy(in, b.r)
}

func order(r *http.Request) error {
	q := r.URL.Query()
	next := way{pinned: q.Get("way") == "pinned", keep: q.Get("keep") != "0"}
	if !next.pinned && q.Get("way") != "pooled" {
		return errors.New("way=pinned or way=pooled")
	}
	next.fresh, _ = strconv.ParseFloat(q.Get("new"), 64)
	mu.Lock()
	current, owed = next, 0
	mu.Unlock()
	return nil
}

func main() {
	flag.Parse()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	status.Serve(*unix, func() map[string]int64 {
		return map[string]int64{"clients": clients.Load(), "requests": requests.Load(),
			"dialled": dialled.Load(), "open": open.Load()}
	}, order)
	var owner sync.Map // client connection to *client, to end its backend connection with it
	server := http.Server{
		Handler: http.HandlerFunc(proxy),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			clients.Add(1)
			c := &client{}
			owner.Store(conn, c)
			return context.WithValue(ctx, key{}, c)
		},
		ConnState: func(conn net.Conn, state http.ConnState) {
			if state != http.StateClosed {
				return
			}
			if c, ok := owner.LoadAndDelete(conn); ok {
				c := c.(*client)
				c.mu.Lock()
				if c.own != nil {
					c.own.shut()
				}
				c.mu.Unlock()
			}
		},
	}
	log.Fatal(server.Serve(l))
}
