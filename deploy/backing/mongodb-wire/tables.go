// Which requests are answered from FerretDB's tables, and which table is a collection's.
//
// FerretDB 1.24 goes by an index to a single _id only, decodes and encodes each document several times, and updates in two steps: 40 to
// 400 µs of processor time for each document read where this takes about ten, and 1.3 ms for a replacement where this takes 0.2.

package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"regexp"
	"sync"
	"time"

	"github.com/jackc/pgerrcode"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// connections to PostgreSQL, for as many requests at once; the others wait.
const connections = 8

// ordinary names of databases and fields stand in SQL as they are.
var ordinary = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// tables answers the requests that the store of this project makes (libs/common/postlaw_common/store/mongodb.py) straight from
// FerretDB's tables, each by one statement or one batch of them; what it does not know it leaves to FerretDB, which reads and writes
// the same tables.
//
// It is no MongoDB: equality is of whole values (nothing is looked for inside lists), one server with no sessions, and times are
// the client's to keep.
type tables struct {
	pool    *pgxpool.Pool
	cursors cursors
	mu      sync.Mutex
	known   map[[2]string]string // by database and collection
	since   int                  // how often they were forgotten
}

func newTables(url string) (*tables, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns = connections
	config.MaxConnIdleTime = time.Hour
	// Each statement is planned once, and always goes by an index, whatever is known of a table that was empty when it was planned.
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_generic_plan"
	config.ConnConfig.RuntimeParams["enable_seqscan"] = "off"
	config.ConnConfig.RuntimeParams["enable_bitmapscan"] = "off"
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	return &tables{pool: pool, known: map[[2]string]string{}, cursors: cursors{open: map[int64]*cursor{}, last: rand.Int64N(1 << 52)}}, err
}

// answer is the reply to a request, nil where FerretDB is to answer.
func (t *tables) answer(request *request) []byte {
	if !request.usual {
		return nil
	}
	switch request.command() {
	case "find":
		return t.find(request)
	case "getMore":
		return t.getMore(request)
	case "killCursors":
		return t.killCursors(request)
	case "aggregate":
		return t.count(request)
	case "insert":
		return t.insert(request)
	case "update":
		return t.replace(request)
	case "delete":
		return t.delete(request)
	}
	return nil
}

// table is a collection's, ready to stand in SQL; "" where there is none that this knows how to use.
func (t *tables) table(database, collection string) string {
	name := [2]string{database, collection}
	t.mu.Lock()
	known, since := t.known[name], t.since
	t.mu.Unlock()
	if known != "" || !ordinary.MatchString(database) {
		return known
	}
	home := pgx.Identifier{database, "_ferretdb_database_metadata"}.Sanitize()
	named, ok := appendText(nil, []byte(collection))
	if !ok {
		return ""
	}
	found := t.pool.QueryRow(context.Background(), `SELECT _jsonb->>'table' FROM `+home+` WHERE _jsonb->'_id' = $1 AND _jsonb->'cappedSize' = '0'`,
		string(named))
	if found.Scan(&known) != nil {
		return ""
	}
	known = pgx.Identifier{database, known}.Sanitize()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since == since {
		t.known[name] = known
	}
	return known
}

// forget is for when collections have gone, or have other names.
func (t *tables) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.known)
	t.since++
}

// refused is whether PostgreSQL has said no to a statement, of which nothing has happened then: FerretDB may try, and word the reply.
// Otherwise it is unknown what has happened.
func refused(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && said.Severity == "ERROR"
}

// taken is whether a value of a unique index is another document's.
func taken(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && said.Code == pgerrcode.UniqueViolation
}
