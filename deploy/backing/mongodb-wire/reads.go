// Finds and counts: those that the store of this project asks for, each by one statement, in the order of _ids.

package main

import "context"

// find serves finds by _id, several _ids, a range of them and one other field's value, in the order of _ids.
func (t *tables) find(r *request) []byte {
	if !r.only("filter", "sort", "limit", "batchSize", "singleBatch", "projection") {
		return nil
	}
	c := &cursor{}
	size, single := ofBatch, false
	for _, field := range r.fields[1:] {
		switch string(field.name) {
		case "filter":
			if !c.filter(field) {
				return nil
			}
		case "sort", "projection":
			by, ok := elements(field.value)
			one, whole := int64(0), false
			if ok && len(by) == 1 && string(by[0].name) == "_id" {
				if one, whole = by[0].whole(); by[0].kind == kindBool && by[0].yes() {
					one, whole = 1, true
				}
			}
			if !whole || one != 1 {
				return nil
			}
			c.onlyIDs = c.onlyIDs || string(field.name) == "projection"
		case "limit", "batchSize":
			number, whole := field.whole()
			if !whole || number < 0 || number == 0 && string(field.name) == "batchSize" {
				return nil
			}
			if string(field.name) == "limit" {
				c.left = int(number)
			} else {
				size = int(number)
			}
		case "singleBatch":
			single = field.yes()
		}
	}
	database, collection := r.namespace()
	if c.table = t.table(database, collection); c.table == "" {
		return nil
	}
	c.namespace = database + "." + collection
	written, err := t.batch(r, "firstBatch", c, 0, size, single)
	if err != nil {
		if refused(err) {
			t.forget()
		}
		return nil // FerretDB reads it, or says why it cannot
	}
	return written
}

// count serves the aggregation by which a driver counts documents: [{$match: …}, {$group: {_id: 1, n: {$sum: 1}}}].
func (t *tables) count(r *request) []byte {
	pipeline, ok := r.field("pipeline")
	if !ok || !r.only("pipeline", "cursor") || pipeline.kind != kindArray {
		return nil
	}
	stages, ok := elements(pipeline.value)
	if !ok || len(stages) != 2 {
		return nil
	}
	match, ok := only(stages[0], "$match")
	if !ok {
		return nil
	}
	if group, ok := only(stages[1], "$group"); !ok || string(group.value) != counting {
		return nil
	}
	c := &cursor{}
	if !c.filter(match) || c.after != "" {
		return nil
	}
	database, collection := r.namespace()
	table := t.table(database, collection)
	if table == "" {
		return nil
	}
	var number int
	sql := `SELECT count(*) FROM ` + table + c.wanted.where()
	if t.pool.QueryRow(context.Background(), sql, c.wanted.parameters...).Scan(&number) != nil {
		return nil
	}
	written := newReply(r.id)
	written.within(kindDocument, "cursor")
	written.within(kindArray, "firstBatch")
	if number > 0 {
		written.place(kindDocument, 0)
		written.begin()
		written.int("_id", 1)
		written.int("n", number)
		written.end()
	}
	written.end()
	written.long("id", 0)
	written.text("ns", database+"."+collection)
	written.end()
	return written.message(nil)
}

// counting is {_id: 1, n: {$sum: 1}} in BSON.
var counting = func() string {
	r := &reply{}
	r.begin()
	r.int("_id", 1)
	r.within(kindDocument, "n")
	r.int("$sum", 1)
	r.end()
	r.end()
	return string(r.bytes)
}()

// only is the one field of a document, where it has this name and is a document itself.
func only(of element, name string) (element, bool) {
	fields, ok := elements(of.value)
	if of.kind != kindDocument || !ok || len(fields) != 1 || string(fields[0].name) != name || fields[0].kind != kindDocument {
		return element{}, false
	}
	return fields[0], true
}
