package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/medanchor/medanchor"

// TestDependencies keeps the graph of the chaincode small enough to audit: every hospital can build it for itself. What
// is not named here needs a decision.
func TestDependencies(t *testing.T) {
	allowed := []string{
		module + "/chaincode",
		"github.com/hyperledger/fabric-",
		// What contractapi brings.
		"github.com/go-openapi/", "github.com/josharian/intern", "github.com/mailru/easyjson", "github.com/xeipuuv/",
		"gopkg.in/yaml.v3",
		// What the peer's protocol brings.
		"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto/googleapis/rpc",
		"golang.org/x/net", "golang.org/x/sys", "golang.org/x/text",
	}
	for _, pkg := range dependencies(t, "./...") {
		if !slices.ContainsFunc(allowed, func(prefix string) bool { return strings.HasPrefix(pkg, prefix) }) {
			t.Errorf("the chaincode reaches %s", pkg)
		}
	}
	for _, pkg := range dependencies(t, "./record") {
		if pkg != module+"/chaincode/record" {
			t.Errorf("the schema reaches %s: it may use the standard library only", pkg)
		}
	}
}

// dependencies lists what the packages reach, apart from the standard library.
func dependencies(t *testing.T, pattern string) []string {
	t.Helper()
	const format = `{{if not .Standard}}{{.ImportPath}}{{end}}`
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, pattern).Output()
	if err != nil {
		t.Fatalf("list dependencies of %s: %v", pattern, err)
	}
	found := strings.Fields(string(out))
	if len(found) == 0 {
		t.Fatalf("no dependencies of %s found", pattern)
	}
	return found
}

// TestDeterminism reads the source of the rules for what could make two peers compute different writes.
func TestDeterminism(t *testing.T) {
	for _, folder := range []string{"contract", "record"} {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, problem := range nondeterminism(t, file, source) {
				t.Error(problem)
			}
		}
	}
}

// TestDeterminismFinds checks that the check above sees what it looks for.
func TestDeterminismFinds(t *testing.T) {
	for _, body := range []string{
		"time.Now()", "time.Since(x)", "go f()", "select {}", "m := map[string]int{}; for k := range m { f(k) }",
		"m := make(map[string]bool); for range m { }", "maps.Keys(m)", "rand.Read(b)", "os.Getenv(`X`)",
	} {
		source := "package x\nfunc g() {\n" + body + "\n}\n"
		if len(nondeterminism(t, "x.go", []byte(source))) == 0 {
			t.Errorf("%q is not found", body)
		}
	}
	if found := nondeterminism(t, "x.go", []byte("package x\nimport \"math/rand\"\n")); len(found) == 0 {
		t.Error("an import of math/rand is not found")
	}
}

// nondeterminism lists what must not stand in the rules: clocks, randomness, the environment, goroutines, and walks over
// maps. Maps are found by how their variable is made in the same function; the rules keep none elsewhere, which is
// checked too.
func nondeterminism(t *testing.T, name string, source []byte) (problems []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	report := func(n ast.Node, what string) {
		problems = append(problems, files.Position(n.Pos()).String()+": "+what)
	}
	for _, spec := range file.Imports {
		switch path := strings.Trim(spec.Path.Value, `"`); path {
		case "math/rand", "math/rand/v2", "crypto/rand", "os", "net", "net/http", "sync", "maps", "unsafe", "C":
			report(spec, "import of "+path)
		}
	}
	calls := []string{"time.Now", "time.Since", "time.Until", "maps.Keys", "maps.Values", "maps.All", "rand.Read", "os.Getenv"}
	maps := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "goroutine")
		case *ast.SelectStmt:
			report(n, "select")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && slices.Contains(calls, x.Name+"."+n.Sel.Name) {
				report(n, x.Name+"."+n.Sel.Name)
			}
		case *ast.AssignStmt:
			for i, value := range n.Rhs {
				if variable, ok := n.Lhs[i].(*ast.Ident); ok && makesMap(value) {
					maps[variable.Name] = true
				}
			}
		case *ast.Field: // of a struct, or a parameter
			if _, isMap := n.Type.(*ast.MapType); isMap {
				report(n, "map that is handed on, so that walks over it cannot be seen")
			}
		case *ast.RangeStmt:
			if x, ok := n.X.(*ast.Ident); ok && maps[x.Name] {
				report(n, "walk over a map")
			}
		}
		return true
	})
	return problems
}

func makesMap(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.CompositeLit:
		_, isMap := v.Type.(*ast.MapType)
		return isMap
	case *ast.CallExpr:
		if made, ok := v.Fun.(*ast.Ident); ok && made.Name == "make" {
			_, isMap := v.Args[0].(*ast.MapType)
			return isMap
		}
	}
	return false
}
