package scp_test

import (
	"crypto/tls"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/medanchor/medanchor/dicomwatch/scp"
	"github.com/medanchor/medanchor/dicomwatch/scp/wire"
)

// statement is docs/dicom-conformance.md: its tables, by their first column's head, as rows of cells.
func statement(t *testing.T) map[string][][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/dicom-conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := make(map[string][][]string)
	head := ""
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "|") {
			head = ""
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(cells[i], " `")
		}
		switch {
		case head == "":
			head = cells[0]
		case !strings.HasPrefix(cells[0], "---"):
			tables[head] = append(tables[head], cells)
		}
	}
	return tables
}

// column gives a column of a table by the first.
func column(t *testing.T, table [][]string, n int) map[string]string {
	t.Helper()
	values := make(map[string]string)
	for _, row := range table {
		if _, twice := values[row[0]]; twice || len(row) <= n {
			t.Fatalf("the row %q stands there twice, or is too short", row)
		}
		values[row[0]] = row[n]
	}
	return values
}

// same checks that a table says what the code does, and nothing else.
func same(t *testing.T, what string, says, does map[string]string) {
	t.Helper()
	if maps.Equal(says, does) {
		return
	}
	for key, value := range does {
		if says[key] != value {
			t.Errorf("%s, %s: the statement says %q, and the code does %q", what, key, says[key], value)
		}
	}
	for key := range says {
		if _, ok := does[key]; !ok {
			t.Errorf("%s, %s: it is not in the code", what, key)
		}
	}
}

func TestTheStatementSaysWhatSOPClassesAreTaken(t *testing.T) {
	tables := statement(t)
	stated := make(map[string]string) // names by UID
	for _, row := range tables["SOP class"] {
		if wire.ValidUID(row[1]) {
			stated[row[1]] = row[0]
		}
	}
	delete(stated, "1.2.840.10008.1.1")
	if len(stated) < 200 {
		t.Fatalf("%d SOP classes", len(stated))
	}
	for uid, name := range stated {
		if !scp.Storable(uid) {
			t.Errorf("%s (%s) is refused", name, uid)
		}
	}
	for uid, name := range scp.StorageElsewhere() {
		if stated[uid] != name {
			t.Errorf("%s is taken as %q, and stated as %q", uid, name, stated[uid])
		}
		if strings.HasPrefix(uid, "1.2.840.10008.5.1.4.1.1.") {
			t.Errorf("%s need not be listed in the code", uid)
		}
	}
	refused := make(map[string]string)
	for _, row := range tables["refused SOP class"] {
		refused[row[1]] = row[0]
		if scp.Storable(row[1]) {
			t.Errorf("%s is taken", row[1])
		}
	}
	same(t, "refused SOP classes", refused, scp.OtherServices())
}

func TestTheStatementSaysWhatTransferSyntaxesAreRefused(t *testing.T) {
	tables := statement(t)
	refused, worse := column(t, tables["refused transfer syntax"], 1), column(t, tables["implicit VR does not give way to"], 1)
	for _, syntax := range transferSyntaxes() {
		if _, stated := refused[syntax]; stated != scp.Incomplete(syntax) {
			t.Errorf("%s: stated as refused %v, is refused %v", syntax, stated, !stated)
		}
		if _, stated := worse[syntax]; stated != scp.Worse(syntax) {
			t.Errorf("%s: stated as worse than implicit VR %v, is so %v", syntax, stated, !stated)
		}
	}
	for syntax := range maps.Keys(refused) {
		if !slices.Contains(transferSyntaxes(), syntax) {
			t.Errorf("%s is no transfer syntax", syntax)
		}
	}
	for syntax := range maps.Keys(worse) {
		if !slices.Contains(transferSyntaxes(), syntax) {
			t.Errorf("%s is no transfer syntax", syntax)
		}
	}
}

// transferSyntaxes are those of PS3.6 Annex A.
func transferSyntaxes() (all []string) {
	for last := range strings.FieldsSeq(`.1 .1.98 .1.99 .2 .4.50 .4.51 .4.52 .4.53 .4.54 .4.55 .4.56 .4.57 .4.58 .4.59 .4.60 .4.61
		.4.62 .4.63 .4.64 .4.65 .4.66 .4.70 .4.80 .4.81 .4.90 .4.91 .4.92 .4.93 .4.94 .4.95 .4.100 .4.100.1 .4.101 .4.101.1
		.4.102 .4.102.1 .4.103 .4.103.1 .4.104 .4.104.1 .4.105 .4.105.1 .4.106 .4.106.1 .4.107 .4.108 .4.110 .4.111 .4.112
		.4.201 .4.202 .4.203 .4.204 .4.205 .5 .6.1 .6.2 .7.1 .7.2 .7.3 .8.1`) {
		all = append(all, wire.ImplicitLittleEndian+last)
	}
	return append(all, wire.ImplicitLittleEndian, "1.2.840.10008.1.20")
}

func TestTheStatementSaysWhatStatusesThereAre(t *testing.T) {
	stated := statement(t)["status"]
	var statuses []string
	for _, s := range scp.Statuses() {
		statuses = append(statuses, s.String())
	}
	if got := slices.Collect(maps.Keys(column(t, stated, 1))); len(got) != len(statuses) {
		t.Errorf("%v are stated, %v there are", got, statuses)
	}
	for _, row := range stated {
		if !slices.Contains(statuses, row[0]) || row[1] == "" || row[2] == "" {
			t.Errorf("%q", row)
		}
	}
}

func TestTheStatementSaysHowAssociationsAreRejected(t *testing.T) {
	does := make(map[string]string)
	for _, r := range scp.Rejections() {
		result, source, reason := r.Code()
		does[string(r)] = fmt.Sprint(result, source, reason)
	}
	says := make(map[string]string)
	for _, row := range statement(t)["rejection"] {
		says[row[0]] = strings.Join(row[1:], " ")
	}
	same(t, "rejections", says, does)
}

func TestTheStatementSaysTheLimits(t *testing.T) {
	d := scp.DefaultLimits()
	if d.PerSender != d.Associations/2 {
		t.Errorf("a sender has %d of %d associations", d.PerSender, d.Associations)
	}
	want := [][]string{
		{"dicom.max_associations", strconv.Itoa(d.Associations)},
		{"dicom.max_associations_per_sender", "half"},
		{"dicom.max_pdu", strconv.Itoa(d.PDU)},
		{"dicom.max_object", strconv.FormatInt(d.Object, 10)},
		{"dicom.idle", fmt.Sprintf("%.0f s", d.Idle.Seconds())},
		{"dicom.artim", fmt.Sprintf("%.0f s", d.ARTIM.Seconds())},
		{"–", fmt.Sprintf("%.0f s", d.Write.Seconds())},
		{"–", fmt.Sprintf("%.0f s", d.Grace.Seconds())},
	}
	var got [][]string
	for _, row := range statement(t)["limit"] {
		got = append(got, row[1:])
	}
	if !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTheStatementSaysWhoWeAre(t *testing.T) {
	says := make(map[string]string)
	for _, row := range statement(t)["what"] {
		says[row[0]] = row[1]
	}
	for key, want := range map[string]string{
		"application context name":    wire.ApplicationContext,
		"implementation class UID":    wire.ImplementationClassUID,
		"implementation version name": wire.ImplementationVersionName,
	} {
		if says[key] != want {
			t.Errorf("%s is stated as %q, and is %q", key, says[key], want)
		}
	}
}

func TestTheStatementSaysTheCipherSuites(t *testing.T) {
	config, _ := both(t)
	does := make(map[string]string)
	for _, suite := range config.CipherSuites {
		does[tls.CipherSuiteName(suite)] = tls.CipherSuiteName(suite)
	}
	same(t, "cipher suites", column(t, statement(t)["cipher suite of TLS 1.2"], 0), does)
}
