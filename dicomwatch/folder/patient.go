package folder

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/medanchor/medanchor/document"
)

// PatientRule tells whose a file is that does not say so itself. The zero value tells of none.
type PatientRule struct {
	identify func(path string) (identifier string) // by the path inside the folder
	sidecar  bool
	issuer   string
}

// IssuedBy names the issuer of the identifiers that the rule finds, where a sidecar names none; without it, or if it is empty, it
// is Options.Issuer.
func (r PatientRule) IssuedBy(issuer string) PatientRule {
	r.issuer = issuer
	return r
}

// ByFolder takes the name of the first folder on the path as the patient's identifier.
func ByFolder() PatientRule {
	return PatientRule{identify: func(path string) string {
		first, _, inFolder := strings.Cut(path, "/")
		if !inFolder {
			return ""
		}
		return first
	}}
}

// ByPattern matches the path inside the folder (with slashes): the pattern's group "id" is the identifier.
func ByPattern(pattern *regexp.Regexp) PatientRule {
	id := pattern.SubexpIndex("id")
	return PatientRule{identify: func(path string) string {
		match := pattern.FindStringSubmatch(path)
		if match == nil || id < 0 {
			return ""
		}
		return match[id]
	}}
}

// BySidecar reads a small JSON file beside each file, <name>.patient.json or <name without extension>.patient.json:
// {"issuer": "...", "identifier": "..."}, of which the issuer may be left out. It goes where its file goes. One whose <name> is
// that of a file which is there is of that file alone.
func BySidecar() PatientRule { return PatientRule{sidecar: true} }

// PatientAt is whose the file at a path inside the folder is that does not say so itself; the zero value if the path does not tell.
func (o Options) PatientAt(path string) (id document.PatientID) {
	if o.Patient.identify == nil {
		return id
	}
	id.Identifier = o.Patient.identify(path)
	return o.issued(id)
}

// issued gives an identifier that names no issuer that of the rule.
func (o Options) issued(id document.PatientID) document.PatientID {
	if id.Identifier != "" && id.Issuer == "" {
		id.Issuer = cmp.Or(o.Patient.issuer, o.Issuer)
	}
	return id
}

// maxSidecar bounds a sidecar file, in bytes.
const maxSidecar = 4096

var errNotJSON = errors.New("is not a whole JSON object")

// parseSidecar reads a sidecar file's content. It is strict, for a sidecar that is misread is another patient's.
func parseSidecar(content []byte) (id document.PatientID, err error) {
	if !utf8.Valid(content) {
		return id, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(content))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return id, errNotJSON
	}
	fields := map[string]*string{"issuer": &id.Issuer, "identifier": &id.Identifier}
	for d.More() {
		if err := parseField(d, fields); err != nil {
			return document.PatientID{}, err
		}
	}
	if _, err := d.Token(); err != nil {
		return document.PatientID{}, errNotJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return document.PatientID{}, errors.New("goes on after its JSON object")
	}
	if strings.TrimSpace(id.Identifier) == "" {
		return document.PatientID{}, errors.New(`has no "identifier"`)
	}
	return id, nil
}

// parseField reads one of the fields that are left.
func parseField(d *json.Decoder, fields map[string]*string) error {
	key, err := d.Token()
	if err != nil {
		return errNotJSON
	}
	name, _ := key.(string)
	field := fields[name]
	if field == nil {
		return errors.New(`holds something else than one "issuer" and one "identifier"`)
	}
	delete(fields, name) // a second one may be another's
	value, err := d.Token()
	if err != nil {
		return errNotJSON
	}
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("has a %q that is not a string", name)
	}
	*field = text
	return nil
}
