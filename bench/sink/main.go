// sink: a fast SMTP server for benchmarks. It accepts every message and remembers, for each,
// when the hand-off began (MAIL) and ended (final dot), and the recipient. Prints one line of JSON with its ports.
// GET /stats prints counts; GET /records prints "begin_ns\tend_ns\trcpt\tbytes" lines; POST /reset empties it.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type record struct {
	begin, end int64
	rcpt       string
	size       int
}

var (
	mu      sync.Mutex
	records []record
	total   atomic.Int64
	bytesIn atomic.Int64
	keepOne atomic.Pointer[[]byte]
	delay   time.Duration
)

func handle(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	w := bufio.NewWriterSize(c, 4<<10)
	say := func(s string) {
		w.WriteString(s)
		w.WriteString("\r\n")
		if r.Buffered() == 0 {
			w.Flush()
		}
	}
	say("220 sink ESMTP")
	var rcpts []string
	var begin int64
	var body bytes.Buffer
	// finish answers the final dot and only then stamps the end: a message is under way until its reply has left.
	finish := func() {
		if delay > 0 {
			w.Flush()
			time.Sleep(delay)
		}
		size := body.Len()
		total.Add(int64(len(rcpts)))
		bytesIn.Add(int64(size))
		if total.Load()%1000 == 1 {
			b := append([]byte(nil), body.Bytes()...)
			keepOne.Store(&b)
		}
		body.Reset()
		// stamped just before the reply can be seen by anyone: a client that has read the reply reads a later clock
		end := time.Now().UnixNano()
		say("250 2.0.0 ok")
		mu.Lock()
		for _, x := range rcpts {
			records = append(records, record{begin, end, x, size})
		}
		mu.Unlock()
		rcpts = rcpts[:0]
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		up := strings.ToUpper(line)
		switch {
		case strings.HasPrefix(up, "EHLO"):
			w.WriteString("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-SMTPUTF8\r\n")
			say("250 SIZE 20000000")
		case strings.HasPrefix(up, "HELO"), strings.HasPrefix(up, "RSET"), strings.HasPrefix(up, "NOOP"):
			rcpts = rcpts[:0]
			say("250 ok")
		case strings.HasPrefix(up, "MAIL"):
			begin = time.Now().UnixNano()
			say("250 ok")
		case strings.HasPrefix(up, "RCPT"):
			a := line
			if i := strings.IndexByte(a, '<'); i >= 0 {
				a = a[i+1:]
			}
			if i := strings.IndexByte(a, '>'); i >= 0 {
				a = a[:i]
			}
			rcpts = append(rcpts, a)
			say("250 ok")
		case strings.HasPrefix(up, "DATA"):
			w.WriteString("354 go\r\n")
			w.Flush()
			for {
				l, err := r.ReadSlice('\n')
				if err != nil && err != bufio.ErrBufferFull {
					return
				}
				if len(l) == 3 && l[0] == '.' {
					break
				}
				body.Write(l)
			}
			finish()
		case strings.HasPrefix(up, "BDAT"):
			f := strings.Fields(up)
			n, _ := strconv.Atoi(f[1])
			if _, err := io.CopyN(&body, r, int64(n)); err != nil {
				return
			}
			if len(f) > 2 && f[2] == "LAST" {
				finish()
			} else {
				say("250 2.0.0 ok")
			}
		case strings.HasPrefix(up, "QUIT"):
			say("221 bye")
			w.Flush()
			return
		default:
			say("502 no")
		}
	}
}

func main() {
	smtp := flag.String("smtp", "127.0.0.1:0", "host:port; port 0 is any")
	web := flag.String("http", "127.0.0.1:0", "host:port; port 0 is any")
	flag.DurationVar(&delay, "delay", 0, "wait this long before each final reply")
	flag.Parse()
	l, err := net.Listen("tcp", *smtp)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/stats", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen := make(map[string]int, len(records))
		var lo, hi int64
		for i, x := range records {
			seen[x.rcpt]++
			if i == 0 || x.end < lo {
				lo = x.end
			}
			if x.end > hi {
				hi = x.end
			}
		}
		dup := 0
		for _, n := range seen {
			if n > 1 {
				dup++
			}
		}
		s := float64(hi-lo) / 1e9
		rate := 0.0
		if s > 0 {
			rate = float64(len(records)) / s
		}
		fmt.Fprintf(w, "messages %d recipients %d duplicated %d seconds %.3f per_second %.0f bytes %d\n", len(records), len(seen), dup, s, rate, bytesIn.Load())
	})
	http.HandleFunc("/records", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b := bufio.NewWriter(w)
		for _, x := range records {
			fmt.Fprintf(b, "%d\t%d\t%s\t%d\n", x.begin, x.end, x.rcpt, x.size)
		}
		b.Flush()
	})
	http.HandleFunc("/sample", func(w http.ResponseWriter, _ *http.Request) {
		if p := keepOne.Load(); p != nil {
			w.Write(*p)
		}
	})
	http.HandleFunc("/reset", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		records = nil
		mu.Unlock()
		total.Store(0)
		bytesIn.Store(0)
	})
	h, err := net.Listen("tcp", *web)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.Serve(h, nil)) }()
	fmt.Printf("{\"smtp\": %d, \"http\": %d}\n", l.Addr().(*net.TCPAddr).Port, h.Addr().(*net.TCPAddr).Port)
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go handle(c)
	}
}
