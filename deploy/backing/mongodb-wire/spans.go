// The fields of a JSON object and the items of an array, by their places and undecoded: the schema says what each is (shapes.go), and
// PostgreSQL has written the JSON, so that the only white space in it is spaces.

package main

import "bytes"

// span is a field of a JSON object, as it lies there. An array's has no name.
type span struct {
	name, value []byte
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
