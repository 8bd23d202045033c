// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// A queue as it is often drawn for a first time: a web handler puts a job into a channel of ten, a dispatcher hands
// each to the first idle of four workers, and a worker sleeps up to 200 ms in place of sending. Nothing is on disk.
// It prints its port, then serves until it is ended; /count tells how many jobs were accepted, done, and how many
// goroutines there are.

package main

import (
	"fmt"
	"math/rand"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

type job interface{ handle() }

type email struct{ to, from, subject, content string }

func (mail email) handle() { time.Sleep(time.Duration(rand.Intn(200)) * time.Millisecond) }

var accepted, done int64

type worker struct {
	pool chan chan job
	own  chan job
}

func (w worker) run() {
	for {
		w.pool <- w.own
		next := <-w.own
		next.handle()
		atomic.AddInt64(&done, 1)
	}
}

func dispatch(queue chan job, workers int) {
	pool := make(chan chan job, workers)
	for i := 0; i < workers; i++ {
		go worker{pool, make(chan job)}.run()
	}
	for next := range queue {
		// As the design has it: each waits for an idle worker by itself.
		go func(next job) { (<-pool) <- next }(next)
	}
}

func main() {
	queue := make(chan job, 10)
	go dispatch(queue, 4)
	http.HandleFunc("/email", func(answer http.ResponseWriter, request *http.Request) {
		query := request.URL.Query()
		queue <- email{query.Get("to"), query.Get("from"), query.Get("subject"), query.Get("content")}
		atomic.AddInt64(&accepted, 1)
		fmt.Fprint(answer, "Email will be sent soon :)")
	})
	http.HandleFunc("/count", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(answer, "{\"accepted\":%d,\"done\":%d,\"goroutines\":%d}\n",
			atomic.LoadInt64(&accepted), atomic.LoadInt64(&done), runtime.NumGoroutine())
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	fmt.Fprintln(os.Stderr, http.Serve(listener, nil))
	os.Exit(1)
}
