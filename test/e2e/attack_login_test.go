package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/medanchor/medanchor/chaincode/record"
	"github.com/medanchor/medanchor/reading"
)

// door is a hospital's reading service as who speaks HTTP by hand meets it.
type door struct {
	t   *testing.T
	url string
}

func (s *site) door() door { return door{s.t, s.status().Reading.URL} }

// send sends a request, with a session's token if there is one, and gives the status. An answer of 200 is read into into.
func (d door) send(method, path, token string, body, into any) (status int) {
	d.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		d.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, bytes.NewReader(text))
	if err != nil {
		d.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK && into != nil {
		if err := json.NewDecoder(response.Body).Decode(into); err != nil {
			d.t.Fatal(err)
		}
	}
	return response.StatusCode
}

func (d door) challenge() (c reading.Challenge) {
	d.t.Helper()
	if status := d.send(http.MethodPost, "/v1/challenges", "", nil, &c); status != http.StatusOK {
		d.t.Fatalf("a challenge: %d", status)
	}
	return c
}

func (d door) login(l reading.Login) (token string, status int) {
	d.t.Helper()
	var s reading.Session
	status = d.send(http.MethodPost, "/v1/sessions", "", l, &s)
	return s.Token, status
}

// falseLogins: who has not just signed this appliance's challenge, as who they are, is not logged in.
func (w *ward) falseLogins(_ *prey) {
	here, there := w.b.door(), w.a.door()
	doctor, colleague := w.doctor.wallet(), w.colleague.wallet()
	answer := func(c reading.Challenge) reading.Login {
		signature, err := doctor.Sign(c.Message(w.doctor.id))
		if err != nil {
			w.t.Fatal(err)
		}
		return reading.Login{Nonce: c.Nonce, Reader: w.doctor.id, Signature: signature}
	}
	used := answer(here.challenge())
	token, status := here.login(used)
	if status != http.StatusOK {
		w.t.Fatalf("an honest login: %d", status)
	}
	for _, attack := range []struct {
		name  string
		login func() reading.Login
	}{
		{"the same login again", func() reading.Login { return used }},
		{"the other hospital's challenge", func() reading.Login { return answer(there.challenge()) }},
		{"a signature for the other hospital's appliance", func() reading.Login {
			c := here.challenge()
			c.Appliance = w.a.applianceID()
			return answer(c)
		}},
		{"a signature for another channel", func() reading.Login {
			c := here.challenge()
			c.Channel = "other"
			return answer(c)
		}},
		{"an altered signature", func() reading.Login {
			l := answer(here.challenge())
			l.Signature[len(l.Signature)-1] ^= 1
			return l
		}},
		{"no signature", func() reading.Login {
			l := answer(here.challenge())
			l.Signature = nil
			return l
		}},
		{"a signature of before, for another nonce", func() reading.Login {
			return reading.Login{Nonce: here.challenge().Nonce, Reader: used.Reader, Signature: used.Signature}
		}},
		{"another's name over one's own signature", func() reading.Login {
			l := answer(here.challenge())
			l.Reader = w.colleague.id
			return l
		}},
		{"another's name, signed with one's own key", func() reading.Login {
			c := here.challenge()
			signature, err := doctor.Sign(c.Message(w.colleague.id))
			if err != nil {
				w.t.Fatal(err)
			}
			return reading.Login{Nonce: c.Nonce, Reader: w.colleague.id, Signature: signature}
		}},
		{"nobody's name", func() reading.Login {
			c := here.challenge()
			signature, err := colleague.Sign(c.Message(record.ParticipantID{1}))
			if err != nil {
				w.t.Fatal(err)
			}
			return reading.Login{Nonce: c.Nonce, Reader: record.ParticipantID{1}, Signature: signature}
		}},
		{"a challenge that nobody made", func() reading.Login {
			c := here.challenge()
			c.Nonce = make([]byte, len(c.Nonce))
			return answer(c)
		}},
		{"a challenge cut short", func() reading.Login {
			c := here.challenge()
			c.Nonce = c.Nonce[:8]
			return answer(c)
		}},
	} {
		if got, status := here.login(attack.login()); status != http.StatusUnauthorized || got != "" {
			w.t.Errorf("%s: %d, with the token %q", attack.name, status, got)
		}
	}

	// The signature goes to no appliance but that of the doctor's own hospital.
	if _, err := reading.Dial(w.t.Context(), reading.DialOptions{
		URL: there.url, Institution: w.doctor.id.Institution(), Channel: doctor.Channel, ID: w.doctor.id, Reader: signsNothing{w.t},
	}); err == nil {
		w.t.Error("the doctor logs in at the other hospital's appliance as if it were their own's")
	}

	open := func(token string) int {
		return here.send(http.MethodPost, "/v1/readings", token, reading.OpenRequest{
			RecordName: record.RecordName{Patient: w.reference, Record: record.Tag{9}},
		}, nil)
	}
	if status := open(token); status != http.StatusNotFound {
		w.t.Errorf("a record that is not there: %d", status)
	}
	for name, no := range map[string]string{
		"no token": "", "half a token": token[:len(token)/2], "more than a token": token + "00", "another token": "00" + token[2:],
		"no hexadecimal": "x" + token[1:],
	} {
		if status := open(no); status != http.StatusUnauthorized {
			w.t.Errorf("%s: %d", name, status)
		}
	}
	if status := here.send(http.MethodDelete, "/v1/sessions", token, nil, nil); status != http.StatusOK {
		w.t.Errorf("logging out: %d", status)
	}
	if status := open(token); status != http.StatusUnauthorized {
		w.t.Errorf("a session that has ended: %d", status)
	}
}

// signsNothing is a reader who must not be asked to sign.
type signsNothing struct{ t *testing.T }

// Sign implements reading.Reader.
func (s signsNothing) Sign([]byte) ([]byte, error) {
	s.t.Error("another hospital's appliance was given a signature")
	return nil, nil
}
