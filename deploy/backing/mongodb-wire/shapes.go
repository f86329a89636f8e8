// The schema that FerretDB keeps with each document, without which its JSON cannot be read: that does not tell bytes from text, or an
// int from a long and a double. What is written gets one made for it; what is read is read by one parsed before, if its text was met.

package main

import (
	"bytes"
	"encoding/json"
	"sync"
	"unicode/utf8"
)

// fewest names of one document that are left to FerretDB, since here each is held against all before it.
const tooManyNames = 200

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
