// Inserts, replacements and removals: those that the store of this project asks for, each by one statement, or several that
// PostgreSQL makes one transaction, so that none is half done.

package main

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// writeTo is the table that a command with a section of documents writes to; "" where this does not serve it.
func (t *tables) writeTo(r *request, section string) string {
	if r.section != section || len(r.documents) == 0 || !r.only("ordered") {
		return ""
	}
	return t.table(r.namespace())
}

// failed is the reply to a write of which it is unknown whether it has happened, nil where FerretDB may try it.
func (t *tables) failed(r *request, err error) []byte {
	if refused(err) {
		t.forget()
		return nil
	}
	return newReply(r.id).message(err)
}

// insert serves inserts of documents whose _ids are text. All go in by one statement, or those that are not there yet where their
// order does not matter.
func (t *tables) insert(r *request) []byte {
	table := t.writeTo(r, "documents")
	if table == "" {
		return nil
	}
	ordered := true
	if field, ok := r.field("ordered"); ok {
		ordered = field.yes()
	}
	stored := make([]string, len(r.documents))
	places := make(map[string]int, len(r.documents))
	for i, document := range r.documents {
		text, ok := toStored(make([]byte, 0, 2*len(document)+200), document)
		if !ok {
			return nil
		}
		stored[i] = string(text)
		fields, _ := elements(document)
		for _, field := range fields {
			if string(field.name) == "_id" {
				id, _ := field.text()
				places[id] = i
			}
		}
	}
	if len(places) < len(stored) {
		return nil // one _id twice: FerretDB says which
	}
	written := newReply(r.id)
	if ordered && len(stored) > 1 {
		if _, err := t.pool.Exec(context.Background(), `INSERT INTO `+table+` (_jsonb) SELECT unnest($1::jsonb[])`, stored); err != nil {
			return t.failed(r, err)
		}
		written.int("n", len(stored))
		return written.message(nil)
	}
	sql := `INSERT INTO ` + table + ` (_jsonb) SELECT unnest($1::jsonb[]) ON CONFLICT DO NOTHING RETURNING _jsonb->>'_id'`
	rows, err := t.pool.Query(context.Background(), sql, stored)
	if err == nil {
		var id string
		_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
			delete(places, id)
			return nil
		})
	}
	if err != nil {
		return t.failed(r, err)
	}
	written.int("n", len(stored)-len(places))
	written.duplicates(r, slices.Sorted(maps.Values(places)))
	return written.message(nil)
}

// replacement is the statement that one {q: {_id: …, v: 1}, u: {_id: …, v: 2, …}} comes to; false where this does not serve it.
func replacement(table string, update []byte) (sql string, wanted condition, ok bool) {
	fields, ok := elements(update)
	if !ok {
		return
	}
	var query, becomes element
	for _, field := range fields {
		switch string(field.name) {
		case "q":
			query = field
		case "u":
			becomes = field
		case "multi", "upsert":
			if field.yes() {
				return sql, wanted, false
			}
		default:
			return sql, wanted, false
		}
	}
	text, ok := toStored(nil, becomes.value)
	if !ok || becomes.kind != kindDocument {
		return sql, wanted, false
	}
	wanted.parameters = []any{string(text)}
	id, version, ok := wanted.version(query)
	if !ok || version.name == nil {
		return sql, wanted, false
	}
	same, changed := false, false
	after, _ := elements(becomes.value)
	for _, field := range after {
		if string(field.name) == "_id" {
			same = bytes.Equal(field.value, id.value)
		}
		if bytes.Equal(field.name, version.name) {
			before, _ := version.whole()
			now, whole := field.whole()
			changed = whole && now != before
		}
	}
	// Otherwise the number of changed documents takes a comparison.
	return `UPDATE ` + table + ` SET _jsonb = $1` + wanted.where(), wanted, same && changed
}

// replace serves replacements of documents at their versions: of one, or of several in no order. A batch is one transaction, for it ends
// with one Sync: they go in together or not at all. No two run at once on collections of one name (front.go), so none waits in a circle.
func (t *tables) replace(r *request) []byte {
	table := t.writeTo(r, "updates")
	if table == "" {
		return nil
	}
	if field, ok := r.field("ordered"); len(r.documents) > 1 && (!ok || field.yes()) {
		return nil
	}
	batch := &pgx.Batch{}
	for _, update := range r.documents {
		sql, wanted, ok := replacement(table, update)
		if !ok {
			return nil
		}
		batch.Queue(sql, wanted.parameters...)
	}
	changed := 0
	results := t.pool.SendBatch(context.Background(), batch)
	var err error
	for range r.documents {
		var done pgconn.CommandTag
		if done, err = results.Exec(); err != nil {
			break
		}
		changed += int(done.RowsAffected())
	}
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil && (len(r.documents) > 1 || !taken(err)) {
		return t.failed(r, err)
	}
	written := newReply(r.id)
	written.int("n", changed)
	written.int("nModified", changed)
	if err != nil {
		written.duplicates(r, []int{0})
	}
	return written.message(nil)
}

// delete serves the removal of one document by its _id, or by that and a version.
func (t *tables) delete(r *request) []byte {
	table := t.writeTo(r, "deletes")
	if table == "" || len(r.documents) != 1 {
		return nil
	}
	fields, ok := elements(r.documents[0])
	if !ok {
		return nil
	}
	wanted := condition{}
	asked := false
	for _, field := range fields {
		switch string(field.name) {
		case "q":
			if _, _, asked = wanted.version(field); !asked {
				return nil
			}
		case "limit":
		default:
			return nil
		}
	}
	if !asked {
		return nil
	}
	done, err := t.pool.Exec(context.Background(), `DELETE FROM `+table+wanted.where(), wanted.parameters...)
	if err != nil {
		return t.failed(r, err)
	}
	written := newReply(r.id)
	written.int("n", int(done.RowsAffected()))
	return written.message(nil)
}
