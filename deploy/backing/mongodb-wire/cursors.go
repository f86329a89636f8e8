// Finds that take several replies. A cursor is a place, not an open query (ADR 55): nothing stays open in PostgreSQL while its client
// reads, or forgets to.

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"time"
)

const (
	// documents of a batch where the client does not say.
	ofBatch = 1000
	// bytes behind which a batch ends, as MongoDB's does.
	enough = 16 << 20
	// how long a cursor stays open that nobody reads.
	idle = 10 * time.Minute
	// Cursors of FerretDB have numbers below.
	firstCursor = 1 << 33
)

// cursor is a find of which there may be more: it goes on behind the last _id, which is where a statement begins anew.
type cursor struct {
	namespace string
	table     string
	wanted    condition
	after     string // an _id as stored; "" at the beginning
	atLeast   bool   // whether the first may be `after` itself
	left      int    // documents, of those that the find is limited to; 0: it is not limited
	onlyIDs   bool
	used      time.Time
}

type cursors struct {
	sync.Mutex
	open map[int64]*cursor
	last int64 // begins anywhere: one of an earlier process is not taken for one of this
}

func (c *cursors) keep(id int64, of *cursor) int64 {
	c.Lock()
	defer c.Unlock()
	of.used = time.Now()
	if id == 0 {
		for other, cursor := range c.open {
			if of.used.Sub(cursor.used) > idle {
				delete(c.open, other)
			}
		}
		c.last++
		id = firstCursor + c.last
	}
	c.open[id] = of
	return id
}

// take is the cursor, which is nobody else's until it is kept again; nil where there is none.
func (c *cursors) take(id int64) *cursor {
	c.Lock()
	defer c.Unlock()
	found := c.open[id]
	delete(c.open, id)
	return found
}

var errNotRead = errors.New("mongodb-wire: a document is among them that only FerretDB can read")

// batch writes up to so many documents as a cursor's reply, and keeps the cursor where there may be more.
func (t *tables) batch(r *request, name string, c *cursor, id int64, size int, single bool) ([]byte, error) {
	if c.left > 0 {
		size = min(size, c.left)
	}
	wanted := condition{append([]string(nil), c.wanted.sql...), append([]any(nil), c.wanted.parameters...)}
	if c.after != "" {
		operator := `_jsonb->'_id' > `
		if c.atLeast {
			operator = `_jsonb->'_id' >= `
		}
		wanted.add(operator, c.after, "")
	}
	sql := `SELECT _jsonb FROM ` + c.table + wanted.where() + ` ORDER BY _jsonb->'_id' LIMIT $` + strconv.Itoa(len(wanted.parameters)+1)
	rows, err := t.pool.Query(context.Background(), sql, append(wanted.parameters, size)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	written := newReply(r.id)
	written.within(kindDocument, "cursor")
	written.within(kindArray, name)
	count, full := 0, false
	var last []byte
	for !full && rows.Next() {
		written.place(kindDocument, count)
		at, ok := len(written.bytes), false
		if written.bytes, last, ok = fromStored(written.bytes, rows.RawValues()[0]); !ok {
			return nil, errNotRead
		}
		if c.onlyIDs {
			ends := at + 4 + 5 + 4 + len(last) + 1
			binary.LittleEndian.PutUint32(written.bytes[at:], uint32(ends+1-at))
			written.bytes = append(written.bytes[:ends], 0)
		}
		count++
		full = len(written.bytes) >= enough
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return nil, err
	}
	more := (full || count == size) && !single && (c.left == 0 || c.left > count)
	if more {
		if c.left > 0 {
			c.left -= count
		}
		after, _ := appendText(nil, last)
		c.after, c.atLeast = string(after), false
		id = t.cursors.keep(id, c)
	} else {
		id = 0
	}
	written.end()
	written.long("id", id)
	written.text("ns", c.namespace)
	written.end()
	return written.message(nil), nil
}

func (t *tables) getMore(r *request) []byte {
	id, _ := r.fields[0].whole()
	c := t.cursors.take(id)
	if c == nil {
		return nil // FerretDB's own, or it says that there is none
	}
	size := ofBatch
	if field, ok := r.field("batchSize"); ok {
		if number, whole := field.whole(); whole && number > 0 {
			size = int(number)
		}
	}
	written, err := t.batch(r, "nextBatch", c, id, size, false)
	if err != nil {
		return newReply(r.id).message(err)
	}
	return written
}

func (t *tables) killCursors(r *request) []byte {
	field, ok := r.field("cursors")
	if !ok || field.kind != kindArray {
		return nil
	}
	ids, ok := elements(field.value)
	if !ok {
		return nil
	}
	killed := map[int64]bool{}
	for _, one := range ids {
		id, whole := one.whole()
		if !whole || id < firstCursor {
			return nil
		}
		killed[id] = t.cursors.take(id) != nil
	}
	written := newReply(r.id)
	for _, list := range []struct {
		name   string
		killed bool
	}{{"cursorsKilled", true}, {"cursorsNotFound", false}} {
		written.within(kindArray, list.name)
		place := 0
		for id, was := range killed {
			if was == list.killed {
				written.place(kindLong, place)
				written.bytes = binary.LittleEndian.AppendUint64(written.bytes, uint64(id))
				place++
			}
		}
		written.end()
	}
	for _, name := range []string{"cursorsAlive", "cursorsUnknown"} {
		written.within(kindArray, name)
		written.end()
	}
	return written.message(nil)
}
