// Documents as FerretDB stores them, to be written; from_stored.go reads them.
//
// FerretDB keeps a document as JSON in a column _jsonb: its fields, and under $s a schema with the order of the fields ($k) and the
// type of each (p: t, for bytes also s, for documents $s, for arrays i). See its package sjson: this writes what it reads, and the other
// way round. Lists in lists, which FerretDB refuses to take though it can read them, are taken here as by MongoDB.

package main

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf8"
)

// toStored appends a BSON document as FerretDB stores it, `_id` first; false where it is not of the kinds that this writes.
func toStored(text, document []byte) ([]byte, bool) {
	fields, ok := elements(document)
	if !ok {
		return text, false
	}
	for i, field := range fields {
		if string(field.name) == "_id" {
			copy(fields[1:i+1], fields[:i])
			fields[0] = field
		}
	}
	if len(fields) == 0 || string(fields[0].name) != "_id" || fields[0].kind != kindString {
		return text, false
	}
	if text, ok = appendShape(append(text, `{"$s":`...), fields, false); !ok {
		return text, false
	}
	for _, field := range fields {
		text = append(append(append(text, `,"`...), field.name...), `":`...)
		if text, ok = appendValue(text, field); !ok {
			return text, false
		}
	}
	return append(text, '}'), true
}

func appendValue(text []byte, field element) ([]byte, bool) {
	switch field.kind {
	case kindDouble:
		value := math.Float64frombits(binary.LittleEndian.Uint64(field.value))
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return text, false
		}
		return strconv.AppendFloat(text, value+0, 'g', -1, 64), true // + 0: there is no negative zero in JSON
	case kindString:
		return appendText(text, field.value[4:len(field.value)-1])
	case kindBinary:
		text = append(base64.StdEncoding.AppendEncode(append(text, '"'), field.value[5:]), '"')
		return text, field.value[4] == 0
	case kindBool:
		return strconv.AppendBool(text, field.value[0] != 0), true
	case kindNull:
		return append(text, "null"...), true
	case kindInt, kindLong:
		value, _ := field.whole()
		return strconv.AppendInt(text, value, 10), true
	case kindDocument, kindArray:
		return appendInner(text, field)
	}
	return text, false
}

func appendInner(text []byte, field element) ([]byte, bool) {
	fields, ok := elements(field.value)
	if !ok {
		return text, false
	}
	opening, closing := byte('{'), byte('}')
	if field.kind == kindArray {
		opening, closing = '[', ']'
	}
	text = append(text, opening)
	for i, inner := range fields {
		if i > 0 {
			text = append(text, ',')
		}
		if field.kind == kindDocument {
			text = append(append(append(text, '"'), inner.name...), `":`...)
		}
		if text, ok = appendValue(text, inner); !ok {
			return text, false
		}
	}
	return append(text, closing), true
}

// appendText appends a string in quotes; false for what PostgreSQL does not take.
func appendText(text, value []byte) ([]byte, bool) {
	if !utf8.Valid(value) {
		return text, false
	}
	text = append(text, '"')
	for _, char := range value {
		switch {
		case char == 0:
			return text, false
		case char == '"' || char == '\\':
			text = append(text, '\\', char)
		case char < ' ':
			text = append(text, `\u00`...)
			text = append(text, "0123456789abcdef"[char>>4], "0123456789abcdef"[char&15])
		default:
			text = append(text, char)
		}
	}
	return append(text, '"'), true
}
