package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"sync"
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
// testable: the front lets only one update or delete run on a collection at a time. A find by many _ids it splits: split.go.
type front struct {
	socket string
	mu     sync.Mutex
	locks  map[string]*sync.Mutex
}

func newFront(socket string) *front {
	return &front{socket: socket, locks: map[string]*sync.Mutex{}}
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
	server, err := net.Dial("unix", f.socket)
	if err != nil {
		return err
	}
	defer server.Close()
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

func (f *front) exchange(server net.Conn, request []byte) ([]byte, error) {
	switch command, collection := command(request); command {
	case "update", "delete", "findAndModify", "findandmodify":
		lock := f.lock(collection)
		lock.Lock()
		defer lock.Unlock()
	}
	return split(request, func(message []byte) ([]byte, error) {
		if _, err := server.Write(message); err != nil {
			return nil, err
		}
		return read(server)
	})
}

// lock is by collection name alone: databases that share a name wait for each other, which costs little and loses nothing.
func (f *front) lock(collection string) *sync.Mutex {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locks[collection] == nil {
		f.locks[collection] = &sync.Mutex{}
	}
	return f.locks[collection]
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
