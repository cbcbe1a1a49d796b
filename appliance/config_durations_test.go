package appliance_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/medanchor/medanchor/appliance"
)

// A negative duration is a slip, and none says by itself what it would do: files were taken at once, or the daemon did not start.
// Each is refused with its key, and all of them at once.
func TestNegativeDurationsAreRefused(t *testing.T) {
	const folders, dicom = "folders: [{name: a, path: /a, %s: -2s}]", "dicom: {listen: ':104', open: true, %s: -2s}"
	refused := map[string]string{
		"folders[0].quiet":    folders,
		"folders[0].patience": folders,
		"folders[0].rescan":   folders,
		"studies.quiet":       "studies: {%s: -2s}",
		"dicom.idle":          dicom,
		"dicom.artim":         dicom,
	}
	for key, section := range refused {
		t.Run(key, func(t *testing.T) {
			_, err := appliance.ParseConfig([]byte(minimal + fmt.Sprintf(section, key[strings.LastIndex(key, ".")+1:])))
			if err == nil || err.Error() != key+": -2s is negative: write it as 2s or 5m" {
				t.Errorf("error: %v", err)
			}
		})
	}
	for _, key := range durations("", reflect.TypeFor[appliance.Config]()) {
		if _, tested := refused[key]; !tested {
			t.Errorf("%s is a duration, and not tested", key)
		}
	}

	_, err := appliance.ParseConfig([]byte(minimal + "folders: [{name: a, path: /a, quiet: -1s, patience: -1s, rescan: -1s}]\n" +
		"studies: {quiet: -1s}\ndicom: {idle: -1s, artim: -1s}\n"))
	if err == nil || strings.Count(err.Error(), "is negative") != len(refused) {
		t.Errorf("error: %v", err)
	}
}

// durations are the keys of the durations in a section of the configuration.
func durations(key string, t reflect.Type) (keys []string) {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return []string{key}
	case t.Kind() == reflect.Slice:
		return durations(key+"[0]", t.Elem())
	case t.Kind() != reflect.Struct:
		return nil
	}
	for field := range t.Fields() {
		keys = slices.Concat(keys, durations(strings.TrimPrefix(key+"."+field.Tag.Get("yaml"), "."), field.Type))
	}
	return keys
}

// Zero is the default of each, as where it is left out.
func TestADurationOfNothingIsTheDefault(t *testing.T) {
	zero, err := appliance.ParseConfig([]byte(minimal + "folders: [{name: a, path: /a, quiet: 0s, patience: 0s, rescan: 0s}]\n" +
		"studies: {quiet: 0s}\ndicom: {idle: 0s, artim: 0s}\n"))
	if err != nil {
		t.Fatal(err)
	}
	unsaid, err := appliance.ParseConfig([]byte(minimal + "folders: [{name: a, path: /a}]\n"))
	if err != nil || !reflect.DeepEqual(zero, unsaid) {
		t.Errorf("%+v, %v", zero, err)
	}
}
