// Command mongodb-wire serves the MongoDB wire protocol on top of PostgreSQL, for tests on a machine without Docker.
//
// It is FerretDB's embeddable package (FerretDB's own command refuses to start when built as a module) behind a front that
// makes updates atomic, as MongoDB's are (front.go), and answers by itself what the store of this project asks (tables.go).
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "address to listen on")
	postgres := flag.String("postgres", "", "PostgreSQL URL: postgres://user:password@127.0.0.1:5432/database")
	flag.Parse()

	// What is read is garbage at once, and little is kept: with Go's default it would be collected again and again.
	debug.SetGCPercent(400)

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

	// At its first request FerretDB looks at every database, which takes seconds where there are a thousand.
	first := newReply(make([]byte, 4))
	first.int("listDatabases", 1)
	first.text("$db", "admin")
	warming := &upstream{socket: socket}
	if _, err := warming.exchange(first.message(nil)); err != nil {
		log.Fatal(err)
	}
	warming.close()

	tables, err := newTables(*postgres)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	go newFront(socket, tables).serve(listener)
	if err := <-ended; err != nil {
		log.Print(err)
	}
	listener.Close()
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
