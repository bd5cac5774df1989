// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

// load - clients and backend of one run. Every request carries its connection's id, and the
// backend notes which of its own connections it came on: the truth about pairs, by construction.
//
// Written to -truth: "port of the client, port of the proxy towards the backend", one line per
// pair; printed: what happened, as name=value.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	proxy    = flag.String("proxy", "127.0.0.1:8080", "where the clients connect")
	backend  = flag.String("backend", "127.0.0.1:3000", "where the backend listens")
	proto    = flag.String("proto", "http", "http, line or ws")
	mode     = flag.String("mode", "mod", "mod: think times; sat: none")
	truth    = flag.String("truth", "truth", "file of the pairs")
	conns    = flag.Int("conns", 0, "client connections in all; 0: 250 or 400")
	parallel = flag.Int("parallel", 50, "at a time")
	greet    = flag.Bool("greet", false, "the backend speaks first (line)")
)

type pair struct{ id, bseq int }

var (
	lock     sync.Mutex
	pairs    = map[pair]int{} // -> port of the backend connection
	accepted int64
	requests int64
	failures int64
	mean     float64
	think    time.Duration
	delay    time.Duration
)

func note(id, bseq, port int) {
	lock.Lock()
	pairs[pair{id, bseq}] = port
	lock.Unlock()
}

func wait(mean time.Duration, r *rand.Rand) {
	if mean > 0 {
		time.Sleep(time.Duration(r.ExpFloat64() * float64(mean)))
	}
}

func responseSize(r *rand.Rand) int {
	if r.Intn(10) == 0 {
		return 20000 + r.Intn(200000)
	}
	return 100 + r.Intn(2000)
}

var noise = func() []byte {
	b := make([]byte, 1<<19)
	rand.New(rand.NewSource(1)).Read(b)
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return b
}()

func bytesOf(n int, r *rand.Rand) []byte {
	at := r.Intn(len(noise) - n)
	return noise[at : at+n]
}

// --- backend ---

func serve() {
	l, err := net.Listen("tcp", *backend)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(70)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveOne(c, int(atomic.AddInt64(&accepted, 1)))
		}
	}()
}

func serveOne(c net.Conn, seq int) {
	defer c.Close()
	port := c.RemoteAddr().(*net.TCPAddr).Port
	r := rand.New(rand.NewSource(int64(seq)))
	in := bufio.NewReader(c)
	if *greet {
		fmt.Fprintf(c, "hello %d\n", seq)
	}
	if *proto == "line" {
		serveLines(c, in, seq, port, r)
		return
	}
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		id, _ := strconv.Atoi(req.Header.Get("X-Conn"))
		io.Copy(io.Discard, req.Body)
		note(id, seq, port)
		if req.Header.Get("Upgrade") != "" {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n"+
				"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			serveLines(c, in, seq, port, r)
			return
		}
		wait(delay, r)
		n := responseSize(r)
		end := req.Close || req.ProtoMajor == 1 && req.ProtoMinor == 0
		head := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n", n)
		if end {
			head += "Connection: close\r\n"
		}
		if _, err := c.Write(append([]byte(head+"\r\n"), bytesOf(n, r)...)); err != nil || end {
			return
		}
	}
}

func serveLines(c net.Conn, in *bufio.Reader, seq, port int, r *rand.Rand) {
	for {
		var id, n int
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		fmt.Sscanf(line, "%d %d", &id, &n)
		if _, err := io.CopyN(io.Discard, in, int64(n)); err != nil {
			return
		}
		note(id, seq, port)
		wait(delay, r)
		n = responseSize(r)
		out := append([]byte(fmt.Sprintf("%d\n", n)), bytesOf(n, r)...)
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

// --- clients ---

// A request's bytes, half of the long ones in two pieces.
func send(c net.Conn, b []byte, r *rand.Rand) error {
	if len(b) > 2000 && r.Intn(2) == 0 {
		if _, err := c.Write(b[:1000]); err != nil {
			return err
		}
		time.Sleep(time.Millisecond)
		b = b[1000:]
	}
	_, err := c.Write(b)
	return err
}

func bodySize(r *rand.Rand) int {
	if r.Intn(5) == 0 {
		return r.Intn(20000)
	}
	return 0
}

func requestHTTP(c net.Conn, in *bufio.Reader, id int, r *rand.Rand) (bool, error) {
	n := bodySize(r)
	var b bytes.Buffer
	method := "GET"
	if n > 0 {
		method = "POST"
	}
	fmt.Fprintf(&b, "%s /%d HTTP/1.1\r\nHost: test\r\nUser-Agent: load\r\nAccept: */*\r\nX-Conn: %d\r\n",
		method, r.Intn(5), id)
	if n > 0 {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", n)
	}
	b.WriteString("\r\n")
	b.Write(bytesOf(n, r))
	if err := send(c, b.Bytes(), r); err != nil {
		return false, err
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != 200 {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return !res.Close, err
}

func requestLine(c net.Conn, in *bufio.Reader, id int, r *rand.Rand) (bool, error) {
	n := bodySize(r)
	b := append([]byte(fmt.Sprintf("%d %d\n", id, n)), bytesOf(n, r)...)
	if err := send(c, b, r); err != nil {
		return false, err
	}
	line, err := in.ReadString('\n')
	if err != nil {
		return false, err
	}
	fmt.Sscanf(line, "%d", &n)
	_, err = io.CopyN(io.Discard, in, int64(n))
	return true, err
}

func upgrade(c net.Conn, in *bufio.Reader, id int) error {
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nX-Conn: %d\r\n\r\n", id)
	for first := true; ; first = false {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		if first && !strings.Contains(line, "101") {
			return fmt.Errorf("no upgrade: %s", line)
		}
		if line == "\r\n" {
			return nil
		}
	}
}

func client(id int) (port int, err error) {
	r := rand.New(rand.NewSource(int64(1000 + id)))
	c, err := net.Dial("tcp", *proxy)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(90 * time.Second))
	port = c.LocalAddr().(*net.TCPAddr).Port
	in := bufio.NewReader(c)
	if *greet {
		if _, err = in.ReadString('\n'); err != nil {
			return
		}
	}
	request := requestLine
	if *proto == "http" {
		request = requestHTTP
	} else if *proto == "ws" {
		if err = upgrade(c, in, id); err != nil {
			return
		}
	}
	n := 1 + int(r.ExpFloat64()*(mean-1))
	for i := 0; i < n; i++ {
		if i > 0 || *mode == "mod" {
			wait(think, r)
		}
		goesOn, err := request(c, in, id, r)
		if err != nil {
			return port, err
		}
		atomic.AddInt64(&requests, 1)
		if !goesOn {
			break
		}
	}
	return
}

func main() {
	flag.Parse()
	mean, think, delay = 9, 50*time.Millisecond, 10*time.Millisecond
	n := 250
	if *mode == "sat" {
		mean, think, delay, n = 16, 0, 2*time.Millisecond, 400
	}
	if *conns > 0 {
		n = *conns
	}
	serve()
	ports := make([]int, n+1)
	ids := make(chan int)
	var done sync.WaitGroup
	begin := time.Now()
	for i := 0; i < *parallel; i++ {
		done.Add(1)
		go func() {
			defer done.Done()
			for id := range ids {
				port, err := client(id)
				ports[id] = port
				if err != nil {
					if atomic.AddInt64(&failures, 1) <= 3 {
						fmt.Fprintln(os.Stderr, "client:", err)
					}
				}
			}
		}()
	}
	for id := 1; id <= n; id++ {
		ids <- id
	}
	close(ids)
	done.Wait()
	seconds := time.Since(begin).Seconds()
	time.Sleep(300 * time.Millisecond) // the last closes

	lock.Lock()
	defer lock.Unlock()
	out, err := os.Create(*truth)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(70)
	}
	w := bufio.NewWriter(out)
	fan := map[int]int{}
	most := 0
	for p, port := range pairs {
		fmt.Fprintln(w, ports[p.id], port)
		fan[p.id]++
		if fan[p.id] > most {
			most = fan[p.id]
		}
	}
	w.Flush()
	out.Close()
	fanout := math.NaN()
	if len(fan) > 0 {
		fanout = float64(len(pairs)) / float64(len(fan))
	}
	fmt.Printf("pairs=%d clients=%d true_mean=%.4f true_max=%d requests=%d rps=%.0f failures=%d backend_conns=%d\n",
		len(pairs), len(fan), fanout, most, requests, float64(requests)/seconds, failures, accepted)
}
