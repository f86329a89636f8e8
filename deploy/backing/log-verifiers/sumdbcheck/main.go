// Checks a log in tlog-tiles layout with golang.org/x/mod's sumdb packages alone: the signed note, a record proof and the entry's own
// hash for every index asked for, and that the checkpoint continues an earlier one. Prints one line of JSON; exit code 1 says what fails.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// height of a tile: 2^8 hashes, as tlog-tiles has it.
const height = 8

// files reads the log's objects: from a folder, or below a URL.
type files struct{ at string }

func (f files) read(path string) ([]byte, error) {
	if !strings.HasPrefix(f.at, "http") {
		return os.ReadFile(filepath.Join(f.at, path))
	}
	answer, err := http.Get(strings.TrimSuffix(f.at, "/") + "/" + path)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", path, answer.Status)
	}
	return io.ReadAll(answer.Body)
}

func (f files) Height() int { return height }

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data, err := f.read(pathOf(tile))
		if err != nil {
			return nil, err
		}
		found[i] = data
	}
	return found, nil
}

func (f files) SaveTiles([]tlog.Tile, [][]byte) {}

// pathOf is tlog-tiles' name of a tile: sumdb's own, without the height.
func pathOf(tile tlog.Tile) string {
	path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
	return strings.Replace(path, "tile/data/", "tile/entries/", 1)
}

// entry is the one at the index, of a bundle that is as long as the tree lets it be.
func (f files) entry(index, size int64) ([]byte, error) {
	tile := tlog.Tile{H: height, L: -1, N: index >> height, W: int(min(1<<height, size-index>>height<<height))}
	bundle, err := f.read(pathOf(tile))
	if err != nil {
		return nil, err
	}
	for at := int64(0); ; at++ {
		if len(bundle) < 2 {
			return nil, fmt.Errorf("%s is cut short", pathOf(tile))
		}
		length := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+length {
			return nil, fmt.Errorf("%s is cut short", pathOf(tile))
		}
		if at == index&(1<<height-1) {
			return bundle[2 : 2+length], nil
		}
		bundle = bundle[2+length:]
	}
}

func open(text []byte, key string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(strings.TrimSpace(key))
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	// sumdb's parser knows one origin only; the two lines below it are the same.
	_, rest, _ := strings.Cut(opened.Text, "\n")
	return tlog.ParseTree([]byte("go.sum database tree\n" + rest))
}

func check(at, key, earlier string, every int64) (map[string]any, error) {
	log := files{at}
	text, err := log.read("checkpoint")
	if err != nil {
		return nil, err
	}
	tree, err := open(text, key)
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	hashes := tlog.TileHashReader(tree, log)
	proven := 0
	for index := int64(0); index < tree.N; index += every {
		entry, err := log.entry(index, tree.N)
		if err != nil {
			return nil, err
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return nil, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)); err != nil {
			return nil, fmt.Errorf("entry %d: %w", index, err)
		}
		proven++
	}
	if earlier != "" {
		text, err := os.ReadFile(earlier)
		if err != nil {
			return nil, err
		}
		before, err := open(text, key)
		if err != nil {
			return nil, fmt.Errorf("the earlier checkpoint: %w", err)
		}
		proof, err := tlog.ProveTree(tree.N, before.N, hashes)
		if err != nil {
			return nil, err
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, before.N, before.Hash); err != nil {
			return nil, err
		}
	}
	return map[string]any{"size": tree.N, "root": tree.Hash.String(), "proven": proven}, nil
}

func main() {
	at := flag.String("log", "", "folder or URL of the log")
	key := flag.String("public_key", "", "file that holds the log's key in note format")
	earlier := flag.String("earlier", "", "file that holds a checkpoint from before")
	every := flag.Int64("every", 1, "prove every so many entries")
	flag.Parse()
	text, err := os.ReadFile(*key)
	if err == nil {
		var found map[string]any
		if found, err = check(*at, string(bytes.TrimSpace(text)), *earlier, *every); err == nil {
			json.NewEncoder(os.Stdout).Encode(found)
			return
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
