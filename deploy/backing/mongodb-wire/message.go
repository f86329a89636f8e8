package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strconv"
)

const (
	headerSize = 16
	opMsg      = 2013
	largest    = 64 << 20
)

// The BSON kinds of values that the store of this project writes.
const (
	kindDouble   = 0x01
	kindString   = 0x02
	kindDocument = 0x03
	kindArray    = 0x04
	kindBinary   = 0x05
	kindBool     = 0x08
	kindNull     = 0x0a
	kindInt      = 0x10
	kindLong     = 0x12
)

// element is a field of a BSON document (bsonspec.org); its value is as it lies there.
type element struct {
	kind  byte
	name  []byte
	value []byte
}

// elements are those of a document, in order; false where it holds what this does not read.
func elements(document []byte) ([]element, bool) {
	if len(document) < 5 || int(binary.LittleEndian.Uint32(document)) != len(document) {
		return nil, false
	}
	rest := document[4 : len(document)-1]
	found := make([]element, 0, 8)
	for len(rest) > 0 {
		kind := rest[0]
		name, after, ended := bytes.Cut(rest[1:], []byte{0})
		if !ended {
			return nil, false
		}
		size := sizeOf(kind, after)
		if size < 0 || size > len(after) {
			return nil, false
		}
		found = append(found, element{kind, name, after[:size]})
		rest = after[size:]
	}
	return found, true
}

// sizeOf is how many bytes a value takes that data begins with; -1 where that cannot be.
func sizeOf(kind byte, data []byte) int {
	switch kind {
	case kindNull, 0x06, 0x7f, 0xff: // undefined, the largest and the smallest key
		return 0
	case kindBool:
		return 1
	case kindInt:
		return 4
	case kindDouble, kindLong, 0x09, 0x11: // date, timestamp
		return 8
	case 0x07: // ObjectId
		return 12
	case 0x13: // decimal
		return 16
	case 0x0b: // a pattern and its options
		pattern := bytes.IndexByte(data, 0)
		if options := bytes.IndexByte(data[pattern+1:], 0); pattern >= 0 && options >= 0 {
			return pattern + options + 2
		}
		return -1
	}
	if len(data) < 4 {
		return -1
	}
	size := int(binary.LittleEndian.Uint32(data))
	switch {
	case kind == kindString && size > 0, kind == 0x0d && size > 0: // code
		return size + 4
	case kind == kindBinary:
		return size + 5
	case size >= 5 && (kind == kindDocument || kind == kindArray):
		return size
	}
	return -1
}

// text is a string's; false where it is none.
func (e element) text() (string, bool) {
	if e.kind != kindString {
		return "", false
	}
	return string(e.value[4 : len(e.value)-1]), true
}

// whole is an integer's value; false where it is none.
func (e element) whole() (int64, bool) {
	switch e.kind {
	case kindInt:
		return int64(int32(binary.LittleEndian.Uint32(e.value))), true
	case kindLong:
		return int64(binary.LittleEndian.Uint64(e.value)), true
	}
	return 0, false
}

// yes is whether it is true, as a bool or a number.
func (e element) yes() bool {
	if e.kind == kindBool {
		return e.value[0] != 0
	}
	number, _ := e.whole()
	return number != 0
}

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

// cut divides behind what begins with its own size.
func cut(data []byte) (first, rest []byte, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	size := int(binary.LittleEndian.Uint32(data))
	if size < 5 || size > len(data) {
		return nil, nil, false
	}
	return data[:size], data[size:], true
}

func (r *request) command() string { return string(r.fields[0].name) }

// collection is the namespace that a command names by its first field and `$db`.
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

// reply is a message that is written from its beginning: documents within each other, to be ended in turn.
type reply struct {
	bytes []byte
	open  []int
}

func newReply(to []byte) *reply {
	r := &reply{bytes: make([]byte, headerSize+5, 512)}
	copy(r.bytes[8:], to)
	binary.LittleEndian.PutUint32(r.bytes[12:], opMsg)
	r.begin()
	return r
}

func (r *reply) begin() {
	r.open = append(r.open, len(r.bytes))
	r.bytes = append(r.bytes, 0, 0, 0, 0)
}

func (r *reply) end() {
	at := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	r.bytes = append(r.bytes, 0)
	binary.LittleEndian.PutUint32(r.bytes[at:], uint32(len(r.bytes)-at))
}

func (r *reply) name(kind byte, name string) {
	r.bytes = append(append(append(r.bytes, kind), name...), 0)
}

// place is the name of an array's element.
func (r *reply) place(kind byte, place int) {
	r.bytes = append(strconv.AppendInt(append(r.bytes, kind), int64(place), 10), 0)
}

func (r *reply) within(kind byte, name string) {
	r.name(kind, name)
	r.begin()
}

func (r *reply) int(name string, value int) {
	r.name(kindInt, name)
	r.bytes = binary.LittleEndian.AppendUint32(r.bytes, uint32(value))
}

func (r *reply) long(name string, value int64) {
	r.name(kindLong, name)
	r.bytes = binary.LittleEndian.AppendUint64(r.bytes, uint64(value))
}

func (r *reply) double(name string, value float64) {
	r.name(kindDouble, name)
	r.bytes = binary.LittleEndian.AppendUint64(r.bytes, math.Float64bits(value))
}

func (r *reply) text(name, value string) {
	r.name(kindString, name)
	r.bytes = binary.LittleEndian.AppendUint32(r.bytes, uint32(len(value)+1))
	r.bytes = append(append(r.bytes, value...), 0)
}

// message ends the reply: done, or failed for the reason that `failed` gives.
func (r *reply) message(failed error) []byte {
	if failed == nil {
		r.double("ok", 1)
	} else {
		r.double("ok", 0)
		r.text("errmsg", failed.Error())
		r.int("code", 1)
		r.text("codeName", "InternalError")
	}
	r.end()
	binary.LittleEndian.PutUint32(r.bytes, uint32(len(r.bytes)))
	return r.bytes
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
