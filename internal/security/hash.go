package security

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// HashCost is the work that one argon2id password hash takes.
type HashCost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultHashCost makes one hash take 19 MiB and some 30 ms of one processor.
// It is the cost of new hashes; those in the file keep the cost that they
// state.
var DefaultHashCost = HashCost{MemoryKiB: 19 * 1024, Passes: 2, Lanes: 1}

// Limits for hashes in a file: a damaged number must not exhaust the machine.
const (
	maxHashMemoryKiB = 1 << 20
	maxHashPasses    = 64
	maxHashLanes     = 64
)

func (c HashCost) check() error {
	if c.Passes < 1 || c.Passes > maxHashPasses || c.Lanes < 1 || c.Lanes > maxHashLanes ||
		c.MemoryKiB < 8*uint32(c.Lanes) || c.MemoryKiB > maxHashMemoryKiB {
		return fmt.Errorf("the cost of the password hash is out of range (m=8*p..%d, t=1..%d, p=1..%d)",
			maxHashMemoryKiB, maxHashPasses, maxHashLanes)
	}
	return nil
}

const (
	saltSize = 16
	keySize  = 32
)

// hashPrefix tells a hash from a plain password in a store file.
const hashPrefix = "$argon2id$"

var errHashFormat = errors.New("this is not a complete password hash of the form $argon2id$v=19$m=...,t=...,p=...$salt$key")

// deriveFunc computes an argon2id key. Tests count its calls.
type deriveFunc func(password, salt []byte, cost HashCost, size uint32) []byte

func argon2id(password, salt []byte, cost HashCost, size uint32) []byte {
	return argon2.IDKey(password, salt, cost.Passes, cost.MemoryKiB, cost.Lanes, size)
}

// passwordHash is an argon2id hash in the PHC string format.
type passwordHash struct {
	cost    HashCost
	salt    []byte
	key     []byte
	encoded string // empty: no password matches
}

func newHash(derive deriveFunc, password string, cost HashCost) passwordHash {
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails
	h := passwordHash{cost: cost, salt: salt, key: derive([]byte(password), salt, cost, keySize)}
	h.encoded = h.encode()
	return h
}

// matches takes the time of one hash, whatever the answer.
func (h *passwordHash) matches(derive deriveFunc, password []byte) bool {
	key := derive(password, h.salt, h.cost, uint32(len(h.key)))
	return subtle.ConstantTimeCompare(key, h.key) == 1
}

var phcBase64 = base64.RawStdEncoding.Strict()

func (h *passwordHash) encode() string {
	return fmt.Sprintf("%sv=%d$m=%d,t=%d,p=%d$%s$%s", hashPrefix, argon2.Version,
		h.cost.MemoryKiB, h.cost.Passes, h.cost.Lanes,
		phcBase64.EncodeToString(h.salt), phcBase64.EncodeToString(h.key))
}

// parseHash reads what encode wrote, and nothing else: the text of a hash is
// its identity.
func parseHash(encoded string) (passwordHash, error) {
	parts := strings.Split(strings.TrimPrefix(encoded, hashPrefix), "$")
	if len(parts) != 4 || parts[0] != "v="+strconv.Itoa(argon2.Version) {
		return passwordHash{}, errHashFormat
	}
	var h passwordHash
	numbers := strings.Split(parts[1], ",")
	if len(numbers) != 3 {
		return passwordHash{}, errHashFormat
	}
	bits := [...]int{32, 32, 8}
	var values [3]uint64
	for i, prefix := range []string{"m=", "t=", "p="} {
		digits, ok := strings.CutPrefix(numbers[i], prefix)
		value, err := strconv.ParseUint(digits, 10, bits[i])
		if !ok || err != nil {
			return passwordHash{}, errHashFormat
		}
		values[i] = value
	}
	h.cost = HashCost{MemoryKiB: uint32(values[0]), Passes: uint32(values[1]), Lanes: uint8(values[2])}
	if err := h.cost.check(); err != nil {
		return passwordHash{}, err
	}
	var err1, err2 error
	h.salt, err1 = phcBase64.DecodeString(parts[2])
	h.key, err2 = phcBase64.DecodeString(parts[3])
	if err1 != nil || err2 != nil || len(h.salt) < 8 || len(h.salt) > 64 || len(h.key) < 16 || len(h.key) > 64 {
		return passwordHash{}, errHashFormat
	}
	if h.encoded = h.encode(); h.encoded != encoded {
		return passwordHash{}, errHashFormat
	}
	return h, nil
}
