// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

// client is the load generator, and a service's client pool. It obeys one command per line of
// stdin, and answers each with one line of NAME=NUMBER pairs, so that a scenario can look at the
// connections between two steps:
//
//	get N PATH          N requests at once, over the pool
//	rate R S CONNS PATH R requests per second for S seconds, over CONNS connections that stay;
//	                    CONNS 0: over the pool, without waiting for an answer
//	visit V K S PATH    V clients per second for S seconds, each with K requests over one second on one
//	                    connection
//	open N PATH         N connections of their own, with one request on each
//	bare N S            N connections without a request; those that are not there after S seconds
//	                    go on trying
//	ws N PATH           N WebSockets, which answer pings
//	health MS PATH      from now on a check every MS milliseconds, each on a new connection
//	count               what became of it
//	close               close open, bare and ws; stop health
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	to   = flag.String("to", "10.77.1.1:80", "address of the server")
	keep = flag.Int("idle", 1, "how many idle connections the pool keeps")

	ok, failed, answered, pings, healthy, unhealthy atomic.Int64

	mu     sync.Mutex
	conns  []net.Conn
	cancel context.CancelFunc = func() {}
	stop   context.Context
	health sync.WaitGroup
)

func get(c *http.Client, path string) bool {
	r, err := c.Get("http://" + *to + path)
	if err != nil {
		failed.Add(1)
		return false
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	if r.StatusCode != 200 {
		failed.Add(1)
		return false
	}
	ok.Add(1)
	return true
}

func each(n int, do func(i int)) {
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		wg.Add(1)
		go func(i int) {
			defer wg.Done()
			do(i)
		}(i)
	}
	wg.Wait()
}

func counts() string {
	return fmt.Sprintf("ok=%d failed=%d answered=%d pings=%d healthy=%d unhealthy=%d",
		ok.Load(), failed.Load(), answered.Load(), pings.Load(), healthy.Load(), unhealthy.Load())
}

// paced calls do n times, evenly over the seconds, however long each takes.
func paced(n int, seconds float64, do func()) {
	begin := time.Now()
	for i := 0; i < n; i++ {
		time.Sleep(time.Until(begin.Add(time.Duration(float64(i) / float64(n) * seconds * 1e9))))
		do()
	}
	time.Sleep(time.Until(begin.Add(time.Duration(seconds * 1e9))))
}

var steady []*http.Client // one connection each

func rate(pool *http.Client, perSecond, seconds, n int, path string) string {
	before, total := ok.Load(), perSecond*seconds
	if n == 0 {
		paced(total, float64(seconds), func() { go get(pool, path) })
		return fmt.Sprintf("sent=%d ok=%d", total, ok.Load()-before)
	}
	for len(steady) < n {
		steady = append(steady, &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}})
	}
	each(n, func(i int) {
		share := total/n + map[bool]int{true: 1}[i < total%n]
		paced(share, float64(seconds), func() { get(steady[i], path) })
	})
	return fmt.Sprintf("sent=%d ok=%d", total, ok.Load()-before)
}

func visit(perSecond, requests, seconds int, path string) string {
	before := ok.Load()
	var wg sync.WaitGroup
	paced(perSecond*seconds, float64(seconds), func() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			c := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
			paced(requests, 1, func() { get(c, path) })
			c.CloseIdleConnections()
		}()
	})
	wg.Wait()
	return fmt.Sprintf("sent=%d ok=%d", perSecond*requests*seconds, ok.Load()-before)
}

func dial(timeout time.Duration) net.Conn {
	c, err := net.DialTimeout("tcp", *to, timeout)
	if err != nil {
		failed.Add(1)
		return nil
	}
	mu.Lock()
	conns = append(conns, c)
	mu.Unlock()
	return c
}

func request(c net.Conn, path, more string) {
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: lab\r\n%s\r\n", path, more)
}

func open(n int, path string) string {
	var there atomic.Int64
	each(n, func(int) {
		c := dial(10 * time.Second)
		if c == nil {
			return
		}
		there.Add(1)
		request(c, path, "")
		go func() {
			r, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err == nil && r.StatusCode == 200 {
				answered.Add(1)
			}
		}()
	})
	return fmt.Sprintf("open=%d", there.Load())
}

// One after the other: each begins when the one before is there, or has not got there for 20 ms. All at
// once they would be answered before any is in the queue.
func bare(n, seconds int) string {
	var there atomic.Int64
	for i := 0; i < n; i++ {
		done := make(chan struct{})
		go func() {
			if dial(time.Minute) != nil {
				there.Add(1)
			}
			close(done)
		}()
		select {
		case <-done:
		case <-time.After(20 * time.Millisecond):
		}
	}
	for i := 0; i < 20*seconds && there.Load() < int64(n); i++ {
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Sprintf("open=%d", there.Load())
}

// The server's frames are short and unmasked; an answer to a ping needs a mask, which may be 0.
func socket(c net.Conn, r *bufio.Reader) {
	var head [2]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		body := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(r, body); err != nil {
			return
		}
		if head[0]&0xf == 9 {
			pings.Add(1)
			c.Write(append([]byte{0x8a, 0x80 | head[1], 0, 0, 0, 0}, body...))
		}
	}
}

func websockets(n int, path string) string {
	var there atomic.Int64
	each(n, func(int) {
		c := dial(10 * time.Second)
		if c == nil {
			return
		}
		request(c, path, "Connection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ZmFudGFpbCBmYW50YWlsIQ==\r\n")
		in := bufio.NewReader(c)
		r, err := http.ReadResponse(in, nil)
		if err == nil && r.StatusCode == http.StatusSwitchingProtocols {
			there.Add(1)
			go socket(c, in)
		}
	})
	return fmt.Sprintf("open=%d", there.Load())
}

func check(path string) {
	c := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := c.Get("http://" + *to + path)
	if err != nil || r.StatusCode != 200 {
		unhealthy.Add(1)
		return
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	healthy.Add(1)
}

func checks(ms int, path string) {
	stop, cancel = context.WithCancel(context.Background())
	health.Add(1)
	go func() {
		defer health.Done()
		for tick := time.NewTicker(time.Duration(ms) * time.Millisecond); ; {
			check(path)
			select {
			case <-stop.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

func obey(pool *http.Client, line string) string {
	var n, seconds, connections, requests int
	var word, path string
	fmt.Sscan(line, &word)
	rest := strings.TrimPrefix(line, word)
	switch word {
	case "get":
		fmt.Sscan(rest, &n, &path)
		before := ok.Load()
		each(n, func(int) { get(pool, path) })
		return fmt.Sprintf("ok=%d", ok.Load()-before)
	case "rate":
		fmt.Sscan(rest, &n, &seconds, &connections, &path)
		return rate(pool, n, seconds, connections, path)
	case "visit":
		fmt.Sscan(rest, &n, &requests, &seconds, &path)
		return visit(n, requests, seconds, path)
	case "open":
		fmt.Sscan(rest, &n, &path)
		return open(n, path)
	case "bare":
		fmt.Sscan(rest, &n, &seconds)
		return bare(n, seconds)
	case "ws":
		fmt.Sscan(rest, &n, &path)
		return websockets(n, path)
	case "health":
		fmt.Sscan(rest, &n, &path)
		checks(n, path)
		return "health=1"
	case "close":
		cancel()
		health.Wait()
		mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		conns = nil
		mu.Unlock()
		return counts()
	case "count":
		return counts()
	}
	return "error: no command " + word
}

func main() {
	flag.Parse()
	pool := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: *keep}}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(obey(pool, lines.Text()))
	}
}
