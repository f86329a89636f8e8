// Command mongodb-wire serves the MongoDB wire protocol on top of PostgreSQL, for tests on a machine without Docker.
//
// It is FerretDB's embeddable package (FerretDB's own command refuses to start when built as a module) behind a front that
// makes updates atomic, as MongoDB's are, and finds by many _ids quick: see front.go and split.go.
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	postgres := flag.String("postgres", "", "PostgreSQL URL: postgres://user:password@127.0.0.1:5432/database")
	flag.Parse()

	// FerretDB makes much garbage and keeps little: with Go's default it collects a quarter of its time.
	debug.SetGCPercent(400)

	// While long finds keep every one of Go's processors busy it looks at the network each 10 ms only, and a short request waits so
	// long at each of its four hops. With more of them than there are cores the kernel gives short requests their turn.
	runtime.GOMAXPROCS(4 * runtime.NumCPU())

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	directory, err := os.MkdirTemp("", "mongodb-wire-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(directory)
	socket := filepath.Join(directory, "s")

	server, err := ferretdb.New(&ferretdb.Config{
		Listener:      ferretdb.ListenerConfig{Unix: socket},
		Handler:       "postgresql",
		PostgreSQLURL: *postgres,
	})
	if err != nil {
		log.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	for !exists(socket) {
		select {
		case err := <-ended:
			log.Fatal(err)
		case <-time.After(10 * time.Millisecond):
		}
	}

	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go newFront(socket).serve(listener)
	if err := <-ended; err != nil {
		log.Print(err)
	}
	listener.Close()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
