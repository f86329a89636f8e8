package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"log"
	"net"
	"sync"

	"github.com/FerretDB/wire"
	"github.com/FerretDB/wire/wirebson"
)

const (
	headerSize = 16
	opMsg      = 2013
	largest    = 64 << 20
)

// front passes MongoDB messages on to FerretDB, one request and its reply at a time on each connection.
//
// FerretDB 1.24 updates in two steps, a find by the filter and a write by _id alone, so that of eight concurrent replacements
// at one version two to eight succeeded (in 129 rounds of 162). MongoDB's update is atomic, and what rests on it must be
// testable: the front lets only one update or delete of a document run at a time. A find by many _ids it splits: split.go.
type front struct {
	socket string
	mu     sync.Mutex
	locks  map[string]*lock
}

// lock is a collection's. A write of one document holds `all` shared, and the place of its _id; any other holds `all` alone.
type lock struct {
	all    sync.RWMutex
	places [256]sync.Mutex
}

func newFront(socket string) *front {
	return &front{socket: socket, locks: map[string]*lock{}}
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
	for {
		request, err := read(client)
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

func (f *front) exchange(server *upstream, request []byte) ([]byte, error) {
	switch command, collection := command(request); command {
	case "update", "delete", "findAndModify", "findandmodify":
		defer f.lock(collection).take(writtenID(request))()
	}
	return split(request, server.exchange)
}

// upstream is a client's own connections to FerretDB: the first for what it asks, the others for the parts of a find that is split.
type upstream struct {
	socket      string
	connections [lanes]net.Conn
}

// exchange sends a message on one of the connections, and returns its reply.
func (u *upstream) exchange(lane int, message []byte) ([]byte, error) {
	if u.connections[lane] == nil {
		connection, err := net.Dial("unix", u.socket)
		if err != nil {
			return nil, err
		}
		u.connections[lane] = connection
	}
	if _, err := u.connections[lane].Write(message); err != nil {
		return nil, err
	}
	return read(u.connections[lane])
}

func (u *upstream) close() {
	for _, connection := range u.connections {
		if connection != nil {
			connection.Close()
		}
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
func writtenID(request []byte) string {
	var parsed wire.OpMsg
	if err := parsed.UnmarshalBinaryNocopy(request[headerSize:]); err != nil {
		return ""
	}
	_, writes := parsed.RawSections()
	if size, err := wirebson.FindRaw(writes); err != nil || size != len(writes) {
		return ""
	}
	id, _ := document(document(wirebson.RawDocument(writes)).Get("q")).Get("_id").(string)
	return id
}

func read(conn net.Conn) ([]byte, error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(conn, header); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(header)
	if size < headerSize || size > largest {
		return nil, errors.New("not a MongoDB message")
	}
	message := make([]byte, size)
	copy(message, header)
	_, err := io.ReadFull(conn, message[headerSize:])
	return message, err
}

// command is the first element of an OP_MSG's body: the command's name, and the collection where it is a string.
func command(message []byte) (string, string) {
	// header, flags, section kind 0, document length, then the first element: type, name, value
	if binary.LittleEndian.Uint32(message[12:]) != opMsg || len(message) < headerSize+10 || message[headerSize+4] != 0 {
		return "", ""
	}
	element := message[headerSize+9:]
	name, value, found := bytes.Cut(element[1:], []byte{0})
	if !found || element[0] != 2 || len(value) < 5 {
		return string(name), ""
	}
	size := int(binary.LittleEndian.Uint32(value))
	if size < 1 || len(value) < 4+size {
		return string(name), ""
	}
	return string(name), string(value[4 : 4+size-1])
}
