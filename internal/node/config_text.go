package node

import (
	"encoding"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
)

// DefaultConfigText is a config.toml with every key, its meaning and its default.
// Keys are commented out: what a person has not changed follows later defaults.
func DefaultConfigText() string {
	var b strings.Builder
	b.WriteString("# Configuration of shoal. Lines that begin with # are the defaults.\n")
	last := ""
	eachKey(DefaultConfig(), func(section, key reflect.StructField, value reflect.Value) {
		if name := section.Tag.Get("toml"); name != last {
			last = name
			b.WriteString("\n")
			comment(&b, section.Tag.Get("doc"))
			fmt.Fprintf(&b, "[%s]\n", name)
		}
		b.WriteString("\n")
		comment(&b, key.Tag.Get("doc"))
		fmt.Fprintf(&b, "#%s = %s\n", key.Tag.Get("toml"), tomlValue(value))
	})
	return b.String()
}

// ConfigDoc is docs/config.md.
func ConfigDoc() string {
	var b strings.Builder
	b.WriteString(configDocHead)
	last := ""
	eachKey(DefaultConfig(), func(section, key reflect.StructField, value reflect.Value) {
		if name := section.Tag.Get("toml"); name != last {
			last = name
			fmt.Fprintf(&b, "\n## [%s]\n\n%s\n\n| key | default | meaning |\n|---|---|---|\n", name, oneLine(section.Tag.Get("doc")))
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", key.Tag.Get("toml"), tomlValue(value), oneLine(key.Tag.Get("doc")))
	})
	return b.String()
}

const configDocHead = `# config.toml

The file lies in the home folder (` + "`$SHOAL_HOME`" + `, ` + "`--home DIR`" + `, else the system's folder for application data). It need not
exist. A flag wins over the file. A key that is not in these tables is an error that names it and its line.
` + "`shoal help config`" + ` prints the whole file with its defaults.

This page is made from the source; its test says how to make it anew.
`

func comment(b *strings.Builder, doc string) {
	for line := range strings.SplitSeq(doc, "\n") {
		fmt.Fprintf(b, "# %s\n", line)
	}
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

// tomlValue writes a value of the configuration as TOML does.
func tomlValue(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err != nil {
			return `""`
		}
		if v.Type() == reflect.TypeFor[slog.Level]() {
			return fmt.Sprintf("%q", strings.ToLower(string(text)))
		}
		return fmt.Sprintf("%q", text)
	}
	switch v.Kind() {
	case reflect.String:
		return fmt.Sprintf("%q", v.String())
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, tomlValue(v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}
