// What the front answers: a message written from its beginning, in one pass, into the bytes that are sent.

package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// reply is a message that is written from its beginning: documents within each other, to be ended in turn.
type reply struct {
	bytes []byte
	open  []int
}

func newReply(to []byte) *reply {
	r := &reply{bytes: make([]byte, headerSize+5, 512)}
	copy(r.bytes[8:], to)
	binary.LittleEndian.PutUint32(r.bytes[12:], opMsg)
	r.begin()
	return r
}

func (r *reply) begin() {
	r.open = append(r.open, len(r.bytes))
	r.bytes = append(r.bytes, 0, 0, 0, 0)
}

func (r *reply) end() {
	at := r.open[len(r.open)-1]
	r.open = r.open[:len(r.open)-1]
	r.bytes = append(r.bytes, 0)
	binary.LittleEndian.PutUint32(r.bytes[at:], uint32(len(r.bytes)-at))
}

func (r *reply) name(kind byte, name string) {
	r.bytes = append(append(append(r.bytes, kind), name...), 0)
}

// place is the name of an array's element.
func (r *reply) place(kind byte, place int) {
	r.bytes = append(strconv.AppendInt(append(r.bytes, kind), int64(place), 10), 0)
}

func (r *reply) within(kind byte, name string) {
	r.name(kind, name)
	r.begin()
}

func (r *reply) int(name string, value int) {
	r.name(kindInt, name)
	r.bytes = binary.LittleEndian.AppendUint32(r.bytes, uint32(value))
}

func (r *reply) long(name string, value int64) {
	r.name(kindLong, name)
	r.bytes = binary.LittleEndian.AppendUint64(r.bytes, uint64(value))
}

func (r *reply) double(name string, value float64) {
	r.name(kindDouble, name)
	r.bytes = binary.LittleEndian.AppendUint64(r.bytes, math.Float64bits(value))
}

func (r *reply) text(name, value string) {
	r.name(kindString, name)
	r.bytes = binary.LittleEndian.AppendUint32(r.bytes, uint32(len(value)+1))
	r.bytes = append(append(r.bytes, value...), 0)
}

const duplicateKey = 11000

// duplicates writes the errors of writes, by their places, whose documents would have what another one has.
func (r *reply) duplicates(of *request, places []int) {
	if len(places) == 0 {
		return
	}
	database, collection := of.namespace()
	r.within(kindArray, "writeErrors")
	for i, place := range places {
		r.place(kindDocument, i)
		r.begin()
		r.int("index", place)
		r.int("code", duplicateKey)
		r.text("errmsg", fmt.Sprintf("E11000 duplicate key error collection: %s.%s", database, collection))
		r.end()
	}
	r.end()
}

// message ends the reply: done, or failed for the reason that `failed` gives.
func (r *reply) message(failed error) []byte {
	if failed == nil {
		r.double("ok", 1)
	} else {
		r.double("ok", 0)
		r.text("errmsg", failed.Error())
		r.int("code", 1)
		r.text("codeName", "InternalError")
	}
	r.end()
	binary.LittleEndian.PutUint32(r.bytes, uint32(len(r.bytes)))
	return r.bytes
}
