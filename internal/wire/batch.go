package wire

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"iter"
)

// AppendBatchEntry appends one message as an entry of a polling batch: the
// length of what follows the type byte, then the message (01 section 8.1).
func AppendBatchEntry(b, message []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(message)-1))
	return append(b, message...)
}

// EncodeBatch returns a batch as the text that travels.
func EncodeBatch(batch []byte) string { return base64.StdEncoding.EncodeToString(batch) }

// DecodeBatch decodes the text of a batch in place of body and returns the
// batch, which aliases it.
func DecodeBatch(body []byte) ([]byte, error) {
	n, err := base64.StdEncoding.Decode(body, body)
	if err != nil {
		return nil, fmt.Errorf("%w: polling batch is not base64", ErrMalformed)
	}
	return body[:n], nil
}

// Batch iterates over the messages of a batch. An error ends it.
func Batch(batch []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for len(batch) > 0 {
			if len(batch) < 5 {
				yield(nil, fmt.Errorf("%w: polling batch ends inside an entry's head", ErrMalformed))
				return
			}
			n := uint64(binary.BigEndian.Uint32(batch)) + 1
			batch = batch[4:]
			if n > uint64(len(batch)) {
				yield(nil, fmt.Errorf("%w: polling entry of %d bytes where %d are left", ErrMalformed, n, len(batch)))
				return
			}
			if !yield(batch[:n:n], nil) {
				return
			}
			batch = batch[n:]
		}
	}
}
