package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"sync"
	"unicode/utf8"
)

// FerretDB keeps a document as JSON in a column _jsonb: its fields, and under $s a schema with the order of the fields ($k) and the
// type of each (p: t, for bytes also s, for documents $s, for arrays i). See its package sjson: this writes what it reads, and the other
// way round. Lists in lists, which FerretDB refuses to take though it can read them, are taken here as by MongoDB.

// fewest names of one document that are left to FerretDB, since here each is held against all before it.
const tooManyNames = 200

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

// appendShape appends the schema of a document's fields, or of an array's.
func appendShape(text []byte, fields []element, array bool) ([]byte, bool) {
	if array {
		text = append(text, '[')
	} else if len(fields) == 0 {
		return append(text, "{}"...), true
	} else if len(fields) >= tooManyNames {
		return text, false
	} else {
		text = append(text, `{"p":{`...)
	}
	for i, field := range fields {
		if i > 0 {
			text = append(text, ',')
		}
		if !array {
			if !plain(field.name) {
				return text, false
			}
			for _, other := range fields[:i] {
				if bytes.Equal(other.name, field.name) {
					return text, false
				}
			}
			text = append(append(append(text, '"'), field.name...), `":`...)
		}
		switch field.kind {
		case kindDouble:
			text = append(text, `{"t":"double"}`...)
		case kindString:
			text = append(text, `{"t":"string"}`...)
		case kindBinary:
			text = append(text, `{"t":"binData","s":0}`...)
		case kindBool:
			text = append(text, `{"t":"bool"}`...)
		case kindNull:
			text = append(text, `{"t":"null"}`...)
		case kindInt:
			text = append(text, `{"t":"int"}`...)
		case kindLong:
			text = append(text, `{"t":"long"}`...)
		case kindDocument, kindArray:
			within, ok := elements(field.value)
			if !ok {
				return text, false
			}
			if field.kind == kindArray {
				text = append(text, `{"t":"array","i":`...)
			} else {
				text = append(text, `{"t":"object","$s":`...)
			}
			if text, ok = appendShape(text, within, field.kind == kindArray); !ok {
				return text, false
			}
			text = append(text, '}')
		default:
			return text, false
		}
	}
	if array {
		return append(text, ']'), true
	}
	text = append(text, `},"$k":[`...)
	for i, field := range fields {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(append(text, '"'), field.name...), '"')
	}
	return append(text, "]}"...), true
}

// plain is whether a name may be a field's, and is in JSON as it is here.
func plain(name []byte) bool {
	if len(name) == 0 || name[0] == '$' || !utf8.Valid(name) {
		return false
	}
	for _, char := range name {
		if char < ' ' || char == '"' || char == '\\' || char == '.' {
			return false
		}
	}
	return true
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

// shape is a schema as it is read: of a document, or of one value within.
type shape struct {
	Keys   []string          `json:"$k"`
	Fields map[string]*shape `json:"p"`
	Type   string            `json:"t"`
	Sub    *byte             `json:"s"`
	Within *shape            `json:"$s"`
	Items  []*shape          `json:"i"`
	kind   byte
	keyed  []*shape // Fields in the order of Keys
}

var kinds = map[string]byte{
	"double": kindDouble, "string": kindString, "object": kindDocument, "array": kindArray, "binData": kindBinary, "bool": kindBool,
	"null": kindNull, "int": kindInt, "long": kindLong,
}

// shapes are those met before, by their text: documents of a collection have few.
var shapes = struct {
	sync.RWMutex
	known map[string]*shape
}{known: map[string]*shape{}}

const manyShapes = 4096

func shapeOf(text []byte) *shape {
	shapes.RLock()
	known := shapes.known[string(text)]
	shapes.RUnlock()
	if known != nil {
		return known
	}
	fresh := &shape{}
	if json.Unmarshal(text, fresh) != nil || !fresh.settle() {
		return nil
	}
	shapes.Lock()
	defer shapes.Unlock()
	if len(shapes.known) >= manyShapes {
		clear(shapes.known)
	}
	shapes.known[string(text)] = fresh
	return fresh
}

// settle prepares a schema for reading by it; false where it has what this does not read.
func (s *shape) settle() bool {
	for _, key := range s.Keys {
		field := s.Fields[key]
		if field == nil || !plain([]byte(key)) || !field.settleValue() {
			return false
		}
		s.keyed = append(s.keyed, field)
	}
	return true
}

func (s *shape) settleValue() bool {
	s.kind = kinds[s.Type]
	switch s.kind {
	case 0:
		return false
	case kindBinary:
		return s.Sub != nil && *s.Sub == 0
	case kindDocument:
		return s.Within != nil && s.Within.settle()
	case kindArray:
		for _, item := range s.Items {
			if item == nil || !item.settleValue() {
				return false
			}
		}
	}
	return true
}

// span is a field of a JSON object, as it lies there. An array's has no name.
type span struct {
	name, value []byte
}

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

// spans appends the fields of a JSON object, or the items of an array, of which text is all.
func spans(found []span, text []byte) ([]span, bool) {
	if len(text) < 2 {
		return found, false
	}
	object, at := text[0] == '{', 1
	for {
		at = space(text, at)
		if at == len(text)-1 && (text[at] == '}' || text[at] == ']') {
			return found, true
		}
		if len(found) > 0 {
			if at >= len(text) || text[at] != ',' {
				return found, false
			}
			at = space(text, at+1)
		}
		var one span
		if object {
			end := valueEnd(text, at)
			if end < at+2 || text[at] != '"' {
				return found, false
			}
			one.name = text[at+1 : end-1]
			at = space(text, end)
			if at >= len(text) || text[at] != ':' {
				return found, false
			}
			at = space(text, at+1)
		}
		end := valueEnd(text, at)
		if end <= at {
			return found, false
		}
		one.value = text[at:end]
		found = append(found, one)
		at = end
	}
}

func space(text []byte, at int) int {
	for at < len(text) && text[at] == ' ' {
		at++
	}
	return at
}

// valueEnd is where the JSON value ends that begins at `at`; 0 where it does not end.
func valueEnd(text []byte, at int) int {
	if at >= len(text) {
		return 0
	}
	switch text[at] {
	case '"':
		for end := at + 1; ; {
			quote := bytes.IndexByte(text[end:], '"')
			if quote < 0 {
				return 0
			}
			end += quote + 1
			escapes := 0
			for text[end-2-escapes] == '\\' { // ends at the opening quote at the latest
				escapes++
			}
			if escapes%2 == 0 {
				return end
			}
		}
	case '{', '[':
		depth := 0
		for end := at; end < len(text); end++ {
			switch text[end] {
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return end + 1
				}
			case '"':
				behind := valueEnd(text, end)
				if behind == 0 {
					return 0
				}
				end = behind - 1
			}
		}
		return 0
	default:
		for end := at; end < len(text); end++ {
			switch text[end] {
			case ',', '}', ']', ' ', ':':
				return end
			}
		}
		return 0
	}
}
