// The fields of a BSON document (bsonspec.org), each left as it lies there until somebody asks for its value: the front looks over
// every request to see whether it serves it, and what it does not serve goes on to FerretDB as it came.

package main

import (
	"bytes"
	"encoding/binary"
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

// element is a field of a BSON document; its value is as it lies there.
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
