package main

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields are those of one protobuf message; of a repeated one the last counts.
type fields struct {
	numbers map[protowire.Number]uint64
	values  map[protowire.Number][]byte
}

func (f fields) number(field protowire.Number) uint64 { return f.numbers[field] }
func (f fields) bytes(field protowire.Number) []byte  { return f.values[field] }
func (f fields) text(field protowire.Number) string   { return string(f.values[field]) }

// has says whether a field with a length is there, an empty one too.
func (f fields) has(field protowire.Number) bool {
	_, ok := f.values[field]
	return ok
}

func readFields(bytes []byte) (fields, error) {
	f := fields{numbers: map[protowire.Number]uint64{}, values: map[protowire.Number][]byte{}}
	for len(bytes) > 0 {
		field, kind, n := protowire.ConsumeTag(bytes)
		if n < 0 {
			return f, fmt.Errorf("a tag: %w", protowire.ParseError(n))
		}
		bytes = bytes[n:]
		switch kind {
		case protowire.VarintType:
			f.numbers[field], n = protowire.ConsumeVarint(bytes)
		case protowire.BytesType:
			f.values[field], n = protowire.ConsumeBytes(bytes)
		default:
			n = protowire.ConsumeFieldValue(field, kind, bytes)
		}
		if n < 0 {
			return f, fmt.Errorf("field %d: %w", field, protowire.ParseError(n))
		}
		bytes = bytes[n:]
	}
	return f, nil
}

func appendBytes(to []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, field, protowire.BytesType), value)
}

func appendNumber(to []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(to, field, protowire.VarintType), value)
}
