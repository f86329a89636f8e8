// Documents as FerretDB stores them become BSON again, in one pass over the text that PostgreSQL sends: a page of a find is mostly this
// (ADR 55). The format is told in stored.go, which goes the other way.

package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// fromStored appends what FerretDB has stored as a BSON document, and says its _id; false where it is not of the kinds that this reads.
func fromStored(out, text []byte) (appended []byte, id []byte, ok bool) {
	var room [24]span
	fields, ok := spans(room[:0], text)
	if !ok {
		return out, nil, false
	}
	for i, field := range fields {
		if string(field.name) != "$s" {
			continue
		}
		known := shapeOf(field.value)
		if known == nil || len(known.Keys) == 0 || known.Keys[0] != "_id" || known.keyed[0].kind != kindString {
			return out, nil, false
		}
		fields[i] = fields[len(fields)-1]
		fields = fields[:len(fields)-1]
		at := len(out)
		if out, ok = appendDocument(out, fields, known); !ok {
			return out, nil, false
		}
		id = out[at+4+5+4:] // behind the size of the document, the _id's kind and name, and the size of its text
		size := binary.LittleEndian.Uint32(out[at+4+5:])
		return out, id[:size-1], true
	}
	return out, nil, false
}

func appendDocument(out []byte, fields []span, known *shape) ([]byte, bool) {
	if len(fields) != len(known.Keys) {
		return out, false
	}
	at := len(out)
	out = append(out, 0, 0, 0, 0)
	for i, key := range known.Keys {
		var value []byte
		for _, field := range fields {
			if string(field.name) == key {
				value = field.value
				break
			}
		}
		var ok bool
		if out, ok = appendElement(out, key, value, known.keyed[i]); !ok {
			return out, false
		}
	}
	out = append(out, 0)
	binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at))
	return out, true
}

func appendElement(out []byte, name string, value []byte, known *shape) ([]byte, bool) {
	kind := known.kind
	if string(value) == "null" {
		kind = kindNull
	}
	out = append(append(append(out, kind), name...), 0)
	at := len(out)
	switch kind {
	case kindNull:
		return out, string(value) == "null"
	case kindBool:
		if string(value) == "true" {
			return append(out, 1), true
		}
		return append(out, 0), string(value) == "false"
	case kindInt:
		number, err := strconv.ParseInt(string(value), 10, 32)
		return binary.LittleEndian.AppendUint32(out, uint32(number)), err == nil
	case kindLong:
		number, err := strconv.ParseInt(string(value), 10, 64)
		return binary.LittleEndian.AppendUint64(out, uint64(number)), err == nil
	case kindDouble:
		number, err := strconv.ParseFloat(string(value), 64)
		return binary.LittleEndian.AppendUint64(out, math.Float64bits(number)), err == nil
	case kindString:
		out, ok := appendUnquoted(append(out, 0, 0, 0, 0), value)
		out = append(out, 0)
		binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at-4))
		return out, ok
	case kindBinary:
		if len(value) < 2 || value[0] != '"' {
			return out, false
		}
		out, err := base64.StdEncoding.AppendDecode(append(out, 0, 0, 0, 0, 0), value[1:len(value)-1])
		binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at-5))
		return out, err == nil
	case kindDocument:
		var room [16]span
		fields, ok := spans(room[:0], value)
		if !ok {
			return out, false
		}
		return appendDocument(out, fields, known.Within)
	case kindArray:
		var room [16]span
		items, ok := spans(room[:0], value)
		if !ok || len(items) != len(known.Items) {
			return out, false
		}
		out = append(out, 0, 0, 0, 0)
		for i, item := range items {
			if out, ok = appendElement(out, strconv.Itoa(i), item.value, known.Items[i]); !ok {
				return out, false
			}
		}
		out = append(out, 0)
		binary.LittleEndian.PutUint32(out[at:], uint32(len(out)-at))
		return out, true
	}
	return out, false
}

// appendUnquoted appends a string of JSON as PostgreSQL writes it: only control characters as \u00XX.
func appendUnquoted(out, value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return out, false
	}
	value = value[1 : len(value)-1]
	for {
		at := bytes.IndexByte(value, '\\')
		if at < 0 {
			return append(out, value...), true
		}
		out = append(out, value[:at]...)
		char := value[at+1]
		value = value[at+2:]
		switch char {
		case '"', '\\', '/':
			out = append(out, char)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			if len(value) < 4 {
				return out, false
			}
			code, err := strconv.ParseUint(string(value[:4]), 16, 16)
			if err != nil || code >= utf8.RuneSelf {
				return out, false
			}
			out, value = append(out, byte(code)), value[4:]
		default:
			return out, false
		}
	}
}
