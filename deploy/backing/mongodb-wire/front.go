// Where clients connect: each request is answered here or by FerretDB, and writes of one document take turns.
//
// FerretDB 1.24 updates in two steps, a find by the filter and a write by _id alone, so that of eight concurrent replacements
// at one version two to eight succeeded (in 129 rounds of 162). MongoDB's update is atomic, and what rests on it must be
// testable: the front lets only one update or delete of a document run at a time, whoever does it.

package main

import (
	"bufio"
	"errors"
	"hash/fnv"
	"io"
	"log"
	"net"
	"sync"
)

// front answers MongoDB messages, one request at a time on each connection: itself what it knows (tables.go), by FerretDB the rest.
type front struct {
	socket string
	tables *tables
	mu     sync.Mutex
	locks  map[string]*lock
}

// lock is a collection's. A write of one document holds `all` shared, and the place of its _id; any other holds `all` alone.
type lock struct {
	all    sync.RWMutex
	places [256]sync.Mutex
}

func newFront(socket string, tables *tables) *front {
	return &front{socket: socket, tables: tables, locks: map[string]*lock{}}
}

func (f *front) serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer client.Close()
			if err := f.relay(client); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
				log.Print(err)
			}
		}()
	}
}

func (f *front) relay(client net.Conn) error {
	server := &upstream{socket: f.socket}
	defer server.close()
	from := bufio.NewReaderSize(client, 1<<16)
	for {
		request, err := read(from)
		if err != nil {
			return err
		}
		reply, err := f.exchange(server, request)
		if err != nil {
			return err
		}
		if _, err := client.Write(reply); err != nil {
			return err
		}
	}
}

func (f *front) exchange(server *upstream, message []byte) ([]byte, error) {
	request := parsed(message)
	if request == nil {
		return server.exchange(message)
	}
	switch request.command() {
	case "update", "delete", "findAndModify", "findandmodify":
		_, collection := request.namespace()
		defer f.lock(collection).take(request.writtenID())()
	case "drop", "dropDatabase", "renameCollection":
		defer f.tables.forget()
	}
	if reply := f.tables.answer(request); reply != nil {
		return reply, nil
	}
	return server.exchange(message)
}

// upstream is a client's own connection to FerretDB.
type upstream struct {
	socket     string
	connection net.Conn
}

// exchange sends a message, and returns its reply.
func (u *upstream) exchange(message []byte) ([]byte, error) {
	if u.connection == nil {
		connection, err := net.Dial("unix", u.socket)
		if err != nil {
			return nil, err
		}
		u.connection = connection
	}
	if _, err := u.connection.Write(message); err != nil {
		return nil, err
	}
	return read(u.connection)
}

func (u *upstream) close() {
	if u.connection != nil {
		u.connection.Close()
	}
}

// lock is by collection name alone: databases that share a name wait for each other, which costs little and loses nothing.
func (f *front) lock(collection string) *lock {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locks[collection] == nil {
		f.locks[collection] = &lock{}
	}
	return f.locks[collection]
}

// take waits for a write's turn: of one document, or with "" of several. What it returns ends the turn.
func (l *lock) take(id string) func() {
	if id == "" {
		l.all.Lock()
		return l.all.Unlock
	}
	hash := fnv.New32a()
	hash.Write([]byte(id))
	place := &l.places[hash.Sum32()%uint32(len(l.places))]
	l.all.RLock()
	place.Lock()
	return func() {
		place.Unlock()
		l.all.RUnlock()
	}
}

// writtenID is the _id of the one document that an update or delete asks for, "" where it may be about others.
func (r *request) writtenID() string {
	if !r.usual || len(r.documents) != 1 {
		return ""
	}
	write, _ := elements(r.documents[0])
	for _, part := range write {
		if string(part.name) == "q" && part.kind == kindDocument {
			query, _ := elements(part.value)
			for _, field := range query {
				if string(field.name) == "_id" {
					id, _ := field.text()
					return id
				}
			}
		}
	}
	return ""
}
