package main

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/FerretDB/wire"
	"github.com/FerretDB/wire/wirebson"
)

// lanes is how many parts of a find go side by side.
const lanes = 4

// split answers a find of many documents by _id with one find for each: FerretDB reads the whole collection for
// {_id: {$in: […]}}, and goes by an index for a single _id. They go side by side, as a server's own look-ups would hardly take time.
// Every other request goes on as it came, by the first lane.
func split(request []byte, exchange func(lane int, message []byte) ([]byte, error)) ([]byte, error) {
	find, ids := findByIDs(request)
	if ids == nil {
		return exchange(0, request)
	}
	questions := make([][]byte, ids.Len())
	for i := range questions {
		if err := find.Replace("filter", wirebson.MustDocument("_id", ids.Get(i))); err != nil {
			return nil, err
		}
		one, err := message(request[4:8], make([]byte, 4), find)
		if err != nil {
			return nil, err
		}
		questions[i] = one
	}
	replies, err := together(questions, exchange)
	if err != nil {
		return nil, err
	}
	found := wirebson.MakeArray(ids.Len())
	for _, reply := range replies {
		batch := array(document(document(body(reply)).Get("cursor")).Get("firstBatch"))
		if batch == nil {
			return reply, nil // an error, which is the answer
		}
		for j := range batch.Len() {
			if err := found.Add(batch.Get(j)); err != nil {
				return nil, err
			}
		}
	}
	namespace := find.Get("$db").(string) + "." + find.Get("find").(string)
	cursor := wirebson.MustDocument("firstBatch", found, "id", int64(0), "ns", namespace)
	return message(make([]byte, 4), request[4:8], wirebson.MustDocument("cursor", cursor, "ok", 1.0))
}

// together exchanges messages lane by lane, and returns their replies in order.
func together(messages [][]byte, exchange func(lane int, message []byte) ([]byte, error)) ([][]byte, error) {
	replies := make([][]byte, len(messages))
	var failed [lanes]error
	var under sync.WaitGroup
	for lane := range min(lanes, len(messages)) {
		under.Add(1)
		go func() {
			defer under.Done()
			for i := lane; i < len(messages) && failed[lane] == nil; i += lanes {
				replies[i], failed[lane] = exchange(lane, messages[i])
			}
		}()
	}
	under.Wait()
	return replies, errors.Join(failed[:]...)
}

// findByIDs is the command, and the wanted _ids where it is a find by a list of them and nothing else; nil, nil otherwise.
func findByIDs(request []byte) (*wirebson.Document, *wirebson.Array) {
	if name, _ := command(request); name != "find" {
		return nil, nil
	}
	find := document(body(request))
	for _, ordered := range []string{"sort", "skip", "limit"} {
		if find.Get(ordered) != nil {
			return nil, nil
		}
	}
	filter := document(find.Get("filter"))
	id := document(filter.Get("_id"))
	if filter.Len() != 1 || id.Len() != 1 {
		return nil, nil
	}
	return find, array(id.Get("$in"))
}

// body is an OP_MSG's document, nil where there is none.
func body(message []byte) any {
	var parsed wire.OpMsg
	if err := parsed.UnmarshalBinaryNocopy(message[headerSize:]); err != nil {
		return nil
	}
	return parsed.RawSection0()
}

// document is the value decoded, an empty document where it is none.
func document(value any) *wirebson.Document {
	if some, ok := value.(wirebson.AnyDocument); ok {
		if decoded, err := some.Decode(); err == nil {
			return decoded
		}
	}
	return wirebson.MustDocument()
}

// array is the value decoded, nil where it is none.
func array(value any) *wirebson.Array {
	if some, ok := value.(wirebson.AnyArray); ok {
		if decoded, err := some.Decode(); err == nil {
			return decoded
		}
	}
	return nil
}

func message(id, responseTo []byte, content *wirebson.Document) ([]byte, error) {
	parsed, err := wire.NewOpMsg(content)
	if err != nil {
		return nil, err
	}
	payload, err := parsed.MarshalBinary()
	if err != nil {
		return nil, err
	}
	header := binary.LittleEndian.AppendUint32(nil, uint32(headerSize+len(payload)))
	header = append(append(header, id...), responseTo...)
	return append(binary.LittleEndian.AppendUint32(header, opMsg), payload...), nil
}
