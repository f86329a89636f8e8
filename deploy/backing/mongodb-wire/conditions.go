// What requests ask of documents, as the WHERE of a statement: an _id, a list or a range of them, another field's value, a version.

package main

import "strings"

// condition is what a statement asks of documents, and its parameters; each a value as it is stored.
type condition struct {
	sql        []string
	parameters []any
}

func (c *condition) add(before string, parameter any, behind string) {
	c.parameters = append(c.parameters, parameter)
	c.sql = append(c.sql, before+"$"+string(rune('0'+len(c.parameters)))+behind)
}

func (c *condition) where() string {
	if len(c.sql) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.sql, " AND ")
}

const textual = `_jsonb->'$s'->'p'->'_id' = '{"t":"string"}'`

// named asks for the one document of an _id; false where that is no text.
func (c *condition) named(id element) bool {
	if id.kind != kindString {
		return false
	}
	value, ok := appendValue(nil, id)
	c.add(`_jsonb->'_id' = `, string(value), "")
	c.sql = append(c.sql, textual)
	return ok
}

// equal asks for a value of a field; false where it is none that this compares. JSON does not tell text from bytes, the schema does.
func (c *condition) equal(field element) bool {
	if !ordinary.Match(field.name) {
		return false
	}
	name := `_jsonb->'` + string(field.name) + `'`
	kind := `_jsonb->'$s'->'p'->'` + string(field.name) + `'`
	value, ok := appendValue(nil, field)
	c.add(name+` = `, string(value), "")
	switch field.kind {
	case kindString:
		c.sql = append(c.sql, kind+` = '{"t":"string"}'`)
	case kindBinary:
		c.sql = append(c.sql, kind+` = '{"s":0,"t":"binData"}'`)
	case kindInt, kindLong:
		c.sql = append(c.sql, kind+`->>'t' IN ('int', 'long', 'double')`)
	default:
		return false
	}
	return ok
}

// version asks for {_id: text} or {_id: text, v: whole number}, and returns both; false where it is none of these.
func (c *condition) version(query element) (id, version element, ok bool) {
	fields, ok := elements(query.value)
	if !ok || query.kind != kindDocument || len(fields) < 1 || len(fields) > 2 {
		return
	}
	for _, field := range fields {
		if string(field.name) == "_id" && c.named(field) {
			id = field
		} else if field.kind == kindInt || field.kind == kindLong {
			if !c.equal(field) {
				return id, version, false
			}
			version = field
		} else {
			return id, version, false
		}
	}
	return id, version, id.name != nil && (len(fields) == 1 || version.name != nil)
}

// filter takes a find's filter; false where it is none that this serves.
func (c *cursor) filter(of element) bool {
	fields, ok := elements(of.value)
	if !ok {
		return false
	}
	others := 0
	for _, field := range fields {
		if string(field.name) != "_id" {
			if others++; others > 1 || field.kind != kindString && field.kind != kindBinary || !c.wanted.equal(field) {
				return false
			}
			continue
		}
		if field.kind == kindString {
			if !c.wanted.named(field) {
				return false
			}
			continue
		}
		bounds, ok := elements(field.value)
		if field.kind != kindDocument || !ok || len(bounds) == 0 {
			return false
		}
		for _, bound := range bounds {
			if string(bound.name) == "$in" {
				if !c.among(bound) {
					return false
				}
				continue
			}
			value, ok := appendValue(nil, bound)
			if !ok || bound.kind != kindString {
				return false
			}
			switch string(bound.name) {
			case "$gt", "$gte":
				if c.after != "" {
					return false
				}
				c.after, c.atLeast = string(value), string(bound.name) == "$gte"
			case "$lt":
				c.wanted.add(`_jsonb->'_id' < `, string(value), "")
			case "$lte":
				c.wanted.add(`_jsonb->'_id' <= `, string(value), "")
			default:
				return false
			}
		}
	}
	return true
}

// among takes a list of _ids.
func (c *cursor) among(list element) bool {
	ids, ok := elements(list.value)
	if !ok || list.kind != kindArray {
		return false
	}
	values := make([]string, len(ids))
	for i, id := range ids {
		value, ok := appendValue(nil, id)
		if !ok || id.kind != kindString {
			return false
		}
		values[i] = string(value)
	}
	c.wanted.add(`_jsonb->'_id' = ANY(`, values, `)`)
	return true
}
