// What a client asks: the next message of a connection, and the request in it. The front may answer only what it understands whole, so
// that a flag, or a field more than it knows, leaves a request to FerretDB.

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
)

const (
	headerSize = 16
	opMsg      = 2013
	largest    = 64 << 20
)

// request is what an OP_MSG asks: its command, by its fields, and the documents that go with it in a section of their own.
type request struct {
	id        []byte // of the message
	usual     bool   // no flags, and one such section at most
	fields    []element
	section   string
	documents [][]byte
}

// parsed is the request of a message, nil where it is none.
func parsed(message []byte) *request {
	if binary.LittleEndian.Uint32(message[12:]) != opMsg || len(message) < headerSize+4 {
		return nil
	}
	flags := binary.LittleEndian.Uint32(message[headerSize:])
	r := &request{id: message[4:8], usual: flags == 0}
	rest := message[headerSize+4:]
	if flags&1 != 0 && len(rest) > 4 {
		rest = rest[:len(rest)-4] // a checksum
	}
	for len(rest) > 0 {
		kind := rest[0]
		section, behind, ok := cut(rest[1:])
		if !ok || kind > 1 {
			return nil
		}
		rest = behind
		if kind == 0 {
			r.fields, _ = elements(section)
			continue
		}
		r.usual = r.usual && r.section == ""
		name, documents, _ := bytes.Cut(section[4:], []byte{0})
		r.section, r.documents = string(name), nil
		for len(documents) > 0 {
			var one []byte
			if one, documents, ok = cut(documents); !ok {
				return nil
			}
			r.documents = append(r.documents, one)
		}
	}
	if len(r.fields) == 0 {
		return nil
	}
	return r
}

func (r *request) command() string { return string(r.fields[0].name) }

// namespace is the database that a command names by `$db`, and the collection that it names by its first field.
func (r *request) namespace() (database, collection string) {
	collection, _ = r.fields[0].text()
	for _, field := range r.fields {
		if string(field.name) == "$db" {
			database, _ = field.text()
		}
	}
	return database, collection
}

// only is whether the command has no other fields than these, and those that are about the session and make no difference to one server.
func (r *request) only(names ...string) bool {
next:
	for _, field := range r.fields[1:] {
		switch string(field.name) {
		case "$db", "lsid", "$readPreference", "writeConcern", "maxTimeMS":
			continue
		case "readConcern":
			levels, _ := elements(field.value)
			if len(levels) == 0 {
				continue
			}
			if level, _ := levels[0].text(); len(levels) == 1 && level == "local" {
				continue
			}
			return false
		}
		for _, name := range names {
			if string(field.name) == name {
				continue next
			}
		}
		return false
	}
	return true
}

func (r *request) field(name string) (element, bool) {
	for _, field := range r.fields[1:] {
		if string(field.name) == name {
			return field, true
		}
	}
	return element{}, false
}

// read is the next message of a connection.
func read(from io.Reader) ([]byte, error) {
	header := make([]byte, headerSize)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	size := binary.LittleEndian.Uint32(header)
	if size < headerSize || size > largest {
		return nil, errors.New("not a MongoDB message")
	}
	message := make([]byte, size)
	copy(message, header)
	_, err := io.ReadFull(from, message[headerSize:])
	return message, err
}
