package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"

	"github.com/medanchor/medanchor/chaincode/record"
)

// call is a call that the contract accepts, on a ledger of its own where the scene for it is set.
type call struct {
	ledger    *fakeLedger
	function  string
	reads     bool // it only asks
	arguments []string
	field     string // of the transient data
	transient []byte
	callers   [][]byte // the first is the rightful one
}

// calls are those of the rows of the table of rights: so all functions of the contract.
func calls(t testing.TB) (all []*call) {
	t.Helper()
	whole := newScene(t)
	for _, r := range allRows() {
		all = append(all, r.valid(whole.at()))
	}
	return all
}

// valid makes the row's call by its rightful caller.
func (r row) valid(s *scene) *call {
	c := &call{ledger: s.ledger, function: r.function, reads: r.raw != nil, field: record.SealedField}
	foreign := newPerson(s.t, "ForeignMSP", record.InstitutionRole, record.InstitutionID("ForeignMSP"))
	who := r.rightful(s)
	if r.function == record.RegisterInstitutionFunction {
		who = foreign
	}
	c.callers = append(c.callers, who.creator)
	for _, column := range columns[:firstWrong] {
		c.callers = append(c.callers, s.columns[column].creator)
	}
	c.callers = append(c.callers, foreign.creator, newPersonWith(s.t, newKey(s.t), who.mspID, nil, who.role, who.id).creator,
		[]byte("nobody"))
	if r.function == record.AnchorFunction {
		_, transient := r.raw(s, who)
		c.reads, c.field, c.transient = false, record.BatchField, transient[record.BatchField]
		return c
	}
	if r.raw != nil {
		c.arguments, _ = r.raw(s, who)
		return c
	}
	c.arguments = []string{string(mustJSON(s.t, r.prepare(s, who)))}
	for field, wire := range r.transient(s) {
		c.field, c.transient = field, wire
	}
	return c
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// try endorses the call with other arguments, transient data and caller.
func (c *call) try(arguments []string, transient []byte, caller int) *transaction {
	var fields map[string][]byte
	if transient != nil {
		fields = map[string][]byte{c.field: transient}
	}
	who := c.callers[caller%len(c.callers)]
	return c.ledger.endorse(who, fields, append([]string{c.function}, arguments...)...)
}

// TestCalls checks that what the fuzzing begins with is accepted: else it would try refusals only.
func TestCalls(t *testing.T) {
	for _, c := range calls(t) {
		tx := c.try(c.arguments, c.transient, 0)
		checkConsistent(t, tx, c.reads)
		if refused := refusalOf(t, tx); refused != nil || strings.Contains(string(tx.response.GetPayload()), `"refused"`) {
			t.Errorf("%s %s is refused: %v %s", c.function, c.arguments, refused, tx.response.GetPayload())
		}
	}
}

// FuzzInvoke calls every function with arguments and transient data that nobody meant. Arguments are separated by a zero
// byte.
func FuzzInvoke(f *testing.F) {
	all := calls(f)
	for i, c := range all {
		f.Add(uint8(i), uint8(0), []byte(strings.Join(c.arguments, "\x00")), c.transient)
	}
	f.Fuzz(func(t *testing.T, function, caller uint8, arguments, transient []byte) {
		c := all[int(function)%len(all)]
		var split []string
		if len(c.arguments) > 0 {
			split = strings.Split(string(arguments), "\x00")
		}
		checkConsistent(t, c.try(split, transient, int(caller)), c.reads)
	})
}

// TestHostile makes of every function's accepted call a few thousand that are wrong in one place.
func TestHostile(t *testing.T) {
	tried, accepted := 0, 0
	for _, c := range calls(t) {
		try := func(arguments []string, transient []byte, caller int) {
			tx := c.try(arguments, transient, caller)
			checkConsistent(t, tx, c.reads)
			if tried++; tx.response.GetStatus() == shim.OK {
				accepted++
			}
		}
		for caller := range c.callers {
			try(c.arguments, c.transient, caller)
		}
		for i, argument := range c.arguments {
			for _, hostile := range hostileTexts(argument) {
				arguments := append([]string{}, c.arguments...)
				arguments[i] = hostile
				try(arguments, c.transient, 0)
			}
		}
		for _, hostile := range hostileBytes(c.transient) {
			try(c.arguments, hostile, 0)
		}
		try(append(c.arguments, "one more"), c.transient, 0)
		try(nil, c.transient, 0)
	}
	t.Logf("%d calls, %d accepted", tried, accepted)
	if tried < 4_000 || accepted == 0 || accepted == tried {
		t.Errorf("%d of %d calls are accepted: they try nothing", accepted, tried)
	}
}

// hostileTexts makes of an argument what nobody meant; of JSON, each of its values in turn.
func hostileTexts(argument string) (texts []string) {
	for _, v := range hostileValues() {
		texts = append(texts, v, strings.Trim(v, `"`))
	}
	texts = append(texts, argument+argument, argument+" ", argument+"\x00", strings.ToLower(argument))
	for i := 0; i < len(argument); i += 1 + len(argument)/8 {
		texts = append(texts, argument[:i], argument[:i]+"\xff"+argument[i+1:])
	}
	for _, span := range valuesOf(argument) {
		before, value, after := argument[:span.begin], argument[span.begin:span.end], argument[span.end:]
		for _, v := range hostileValues() {
			texts = append(texts, before+v+after)
		}
		texts = append(texts, before+after, before+value+","+value+after)
		if span.key != "" { // twice, and by another name
			texts = append(texts, before+value+`,"`+span.key+`":null`+after, before+value+`,"`+span.key+`":`+value+after,
				before+value+`,"`+strings.ToUpper(span.key)+`":`+value+after, before+value+`,"x":1`+after)
		}
	}
	return texts
}

// hostileValues are JSON values, or nearly, that fit nowhere.
func hostileValues() []string {
	return []string{
		"null", "true", "0", "-1", "1.5", "1e400", "4294967296", "9223372036854775808", "-9223372036854775809",
		"[]", "{}", "[null]", "[[]]", `{"":""}`, strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		strings.Repeat("[", 20_000), "[" + strings.Repeat("0,", 9_999) + "0]",
		`""`, `" "`, `"0"`, `"\u0000"`, `"\ud800"`, "\"\xff\xfe\"", `"` + strings.Repeat("A", 60_000) + `"`,
		`"` + strings.Repeat("A", record.MaxRequestBytes) + `"`, `"AAAAAAAAAAAAAAAAAAAAAA"`, `"AAAAAAAAAAA"`,
		`"0000-01-01T00:00:00Z"`, `"0001-01-01T00:00:00Z"`, `"0001-01-01T00:00:00+01:00"`, `"9999-12-31T23:59:59Z"`,
		`"9999-12-31T23:59:59-01:00"`, `"10000-01-01T00:00:00Z"`, `"2027-01-01T00:00:00.5Z"`, `"2027-01-01T00:00:00+23:59"`,
		`"2027-13-01T00:00:00Z"`, `"1677-09-21T00:12:43Z"`, `"2262-04-11T23:47:17Z"`,
	}
}

// span is where a value stands in a JSON text, and under which key.
type span struct {
	begin, end int
	key        string
}

// valuesOf finds the values of a JSON text; none if it is not JSON.
func valuesOf(text string) (found []span) {
	d := json.NewDecoder(strings.NewReader(text))
	var walk func(key string) bool
	walk = func(key string) bool {
		begin := int(d.InputOffset())
		begin += len(text[begin:]) - len(strings.TrimLeft(text[begin:], ":, \n"))
		token, err := d.Token()
		if err != nil {
			return false
		}
		open, nested := token.(json.Delim)
		for nested && d.More() {
			inner := ""
			if open == '{' {
				name, err := d.Token()
				if err != nil {
					return false
				}
				inner = fmt.Sprint(name)
			}
			if !walk(inner) {
				return false
			}
		}
		if nested {
			if _, err := d.Token(); err != nil {
				return false
			}
		}
		found = append(found, span{begin, int(d.InputOffset()), key})
		return true
	}
	if !walk("") {
		return nil
	}
	return found
}

// hostileBytes cuts and changes transient data.
func hostileBytes(wire []byte) (wires [][]byte) {
	for i := 0; i < len(wire); i += 1 + len(wire)/64 {
		wires = append(wires, wire[:i])
		for _, b := range []byte{0, 1, 0x7f, 0xff} {
			changed := bytes.Clone(wire)
			changed[i] ^= b
			wires = append(wires, changed)
		}
	}
	return append(wires, append(bytes.Clone(wire), 0), make([]byte, 1<<20), []byte("null"), []byte("[null]"), []byte{})
}
