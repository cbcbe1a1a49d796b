package reading

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/medanchor/medanchor/chaincode/record"
)

// The bounds of logins.
const (
	challengeTime = 2 * time.Minute
	sessionIdle   = 15 * time.Minute
	sessionTime   = 8 * time.Hour
	maxChallenges = 4096
	maxSessions   = 4096
)

// Challenge is what a reader signs to log in.
type Challenge struct {
	Nonce     []byte               `json:"nonce"`     // 32 bytes
	Appliance record.ParticipantID `json:"appliance"` // whose challenge it is
	Channel   string               `json:"channel"`
}

// Message is what is signed (ECDSA over SHA-256, ASN.1):
//
//	"medanchor login" ‖ 0 ‖ channel, appliance, reader and nonce, each behind its length (4 bytes, big-endian)
//
// A signature for one appliance is none for another.
func (c Challenge) Message(reader record.ParticipantID) []byte {
	m := []byte("medanchor login\x00")
	for _, field := range [][]byte{[]byte(c.Channel), c.Appliance[:], reader[:], c.Nonce} {
		m = binary.BigEndian.AppendUint32(m, uint32(len(field))) //nolint:gosec // all are short
		m = append(m, field...)
	}
	return m
}

// token is what a session is known by: 32 random bytes.
type token [32]byte

// session is a reader who is logged in.
type session struct {
	reader  record.Participant // as they were known when they logged in
	id      record.ID          // random: names the session in the audit
	began   time.Time
	used    time.Time
	reading map[record.RecordName]*reading
	opening map[record.RecordName]*sync.Mutex // one for each record that was asked for
}

// desk hands out challenges and keeps sessions, in memory: a restart ends them all.
type desk struct {
	challenge Challenge // without its nonce
	now       func() time.Time

	mu         sync.Mutex
	challenges map[token]time.Time // until when
	sessions   map[token]*session
}

func newDesk(appliance record.ParticipantID, channel string, now func() time.Time) *desk {
	return &desk{
		challenge: Challenge{Appliance: appliance, Channel: channel}, now: now,
		challenges: make(map[token]time.Time), sessions: make(map[token]*session),
	}
}

var errCrowded = errors.New("too many readers log in at once: try again in a minute")

// ask makes a challenge, good for one login.
func (d *desk) ask() (Challenge, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for nonce, until := range d.challenges {
		if now.After(until) {
			delete(d.challenges, nonce)
		}
	}
	if len(d.challenges) >= maxChallenges {
		return Challenge{}, errCrowded
	}
	var nonce token
	rand.Read(nonce[:]) // never fails (crypto/rand)
	d.challenges[nonce] = now.Add(challengeTime)
	c := d.challenge
	c.Nonce = nonce[:]
	return c, nil
}

// take uses up a challenge, and says whether it was good. Whatever comes of the login, it is good no more.
func (d *desk) take(nonce []byte) bool {
	if len(nonce) != len(token{}) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	until, there := d.challenges[token(nonce)]
	delete(d.challenges, token(nonce))
	return there && !d.now().After(until)
}

// Login answers a challenge.
type Login struct {
	Nonce     []byte               `json:"nonce"`
	Reader    record.ParticipantID `json:"reader"`
	Signature []byte               `json:"signature"` // over Challenge.Message
}

// login begins a session for who signed a challenge with the key that the ledger binds to them.
func (d *desk) login(l Login, reader record.Participant) (token, error) {
	if !d.take(l.Nonce) {
		return token{}, fmt.Errorf("%w: the challenge is not one of ours, was used before, or is too old: log in again", ErrLogin)
	}
	if reader.ID.IsZero() || reader.ID != l.Reader {
		return token{}, fmt.Errorf("%w: the ledger knows no such participant: join it, or wait until this hospital has seen it",
			ErrLogin)
	}
	if reader.Status != record.Active {
		return token{}, fmt.Errorf("%w: the participant is %s: ask their institution", ErrLogin, reader.Status)
	}
	c := d.challenge
	c.Nonce = l.Nonce
	if !Signed(reader, c.Message(l.Reader), l.Signature) {
		return token{}, fmt.Errorf("%w: the challenge is not signed with the key that the ledger binds to the participant: "+
			"was the key replaced?", ErrLogin)
	}
	return d.begin(reader)
}

// begin makes a session.
func (d *desk) begin(reader record.Participant) (t token, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for old, s := range d.sessions {
		if s.over(now) {
			delete(d.sessions, old)
		}
	}
	if len(d.sessions) >= maxSessions {
		return t, errCrowded
	}
	s := &session{
		reader: reader, began: now, used: now, reading: make(map[record.RecordName]*reading),
		opening: make(map[record.RecordName]*sync.Mutex),
	}
	rand.Read(s.id[:]) // never fails (crypto/rand)
	rand.Read(t[:])
	d.sessions[t] = s
	return t, nil
}

func (s *session) over(now time.Time) bool {
	return now.Sub(s.used) > sessionIdle || now.Sub(s.began) > sessionTime
}

// session gives the session that a token names.
func (d *desk) session(t token) (*session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, there := d.sessions[t]
	if !there || s.over(d.now()) {
		delete(d.sessions, t)
		return nil, fmt.Errorf("%w: the session is over: log in again", ErrLogin)
	}
	s.used = d.now()
	return s, nil
}

// end ends a session.
func (d *desk) end(t token) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, t)
}

// opening has requests of a session to open a record go one after the other: each waits until the one before it calls done.
func (d *desk) opening(s *session, name record.RecordName) (done func()) {
	d.mu.Lock()
	one := s.opening[name]
	if one == nil {
		one = new(sync.Mutex)
		s.opening[name] = one
	}
	d.mu.Unlock()
	one.Lock()
	return one.Unlock
}

// readings gives the reading of a record in a session; nil if there is none yet.
func (d *desk) readings(s *session, name record.RecordName) *reading {
	d.mu.Lock()
	defer d.mu.Unlock()
	return s.reading[name]
}

// keep puts a reading into its session.
func (d *desk) keep(s *session, r *reading) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.reading[r.name] = r
}

// Signed says whether a participant signed a message with the key that the ledger binds to them.
func Signed(p record.Participant, message, signature []byte) bool {
	if record.FingerprintOf(p.MSPID, p.SigningKey) != p.Key {
		return false
	}
	parsed, err := x509.ParsePKIXPublicKey(p.SigningKey)
	if err != nil {
		return false
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	digest := sha256.Sum256(message)
	return ok && ecdsa.VerifyASN1(key, digest[:], signature)
}
