package metainfo

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestBuildDescribesTheFiles: what is built reads back as what went in, in order of components.
func TestBuildDescribesTheFiles(t *testing.T) {
	order := []string{"a/deep/er/file", "a/empty", "a/z", "a-b/x", "a.txt", "b.bin", "empty", "same", "zz-last"}
	for _, v := range []Version{V1, V2, Hybrid} {
		m := share(t, "tree", tree(), v, 16<<10)
		var got []string
		for _, f := range m.Info.Files {
			if !f.Pad {
				got = append(got, strings.Join(f.Path, "/"))
			}
		}
		if !slices.Equal(got, order) || m.Info.Version != v || m.Info.Single {
			t.Errorf("%v: %q, single %v", v, got, m.Info.Single)
		}
		if pads := m.Info.Padding() > 0; pads != (v == Hybrid) {
			t.Errorf("%v: %d bytes of padding", v, m.Info.Padding())
		}
		if last := m.Info.Files[len(m.Info.Files)-1]; last.Pad {
			t.Errorf("%v: padding after the last file", v)
		}
	}
}

// The same files in any order give the same bytes.
func TestBuildIsDeterministic(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	want := share(t, "tree", tree(), Hybrid, 32<<10)
	for range 10 {
		contents := tree()
		rng.Shuffle(len(contents), func(i, j int) { contents[i], contents[j] = contents[j], contents[i] })
		if got := share(t, "tree", contents, Hybrid, 32<<10); !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Fatal("the order of the directory shows")
		}
	}
}

// What is said about a share outside its info dictionary does not change its hash; private does.
func TestBuildOptions(t *testing.T) {
	b := planned(t, "tree", tree(), Hybrid, 16<<10)
	plain, err := b.Metainfo()
	if err != nil {
		t.Fatal(err)
	}
	b.Trackers, b.WebSeeds = [][]string{{"http://a/", "udp://b:1"}, {"http://c/"}}, []string{"http://w/", "http://v/"}
	b.Comment, b.CreatedBy, b.Created = "c", "shoal", 1700000000
	m, err := b.Metainfo()
	if err != nil {
		t.Fatal(err)
	}
	if m.Hash != plain.Hash || !reflect.DeepEqual(m.Trackers, b.Trackers) || !reflect.DeepEqual(m.WebSeeds, b.WebSeeds) ||
		m.Comment != "c" || m.CreatedBy != "shoal" || m.Created != 1700000000 || m.Info.Private {
		t.Errorf("%+v", m)
	}
	b.Private = true
	if m, err = b.Metainfo(); err != nil || !m.Info.Private || m.Hash == plain.Hash {
		t.Errorf("private: %+v, %v", m, err)
	}
}

func TestBuildAttributes(t *testing.T) {
	for _, v := range []Version{V1, V2, Hybrid} {
		b := planned(t, "one", []content{{[]string{"one"}, sample(9, 1)}}, v, 16<<10)
		b.Info.Files[0].Executable, b.Info.Files[0].Hidden = true, true
		m, err := b.Metainfo()
		if err != nil || !m.Info.Files[0].Executable || !m.Info.Files[0].Hidden {
			t.Errorf("%v: %+v, %v", v, m, err)
		}
	}
}

// Names of a disk that are not safe stay as they are in the metainfo, and are made safe by whoever reads it.
func TestBuildOddNames(t *testing.T) {
	contents := []content{
		{[]string{"caf\xe9"}, sample(10, 1)}, {[]string{"aux.c"}, sample(20, 2)}, {[]string{"new\nline"}, sample(30, 3)},
		{[]string{"README"}, sample(40, 4)}, {[]string{"readme"}, sample(50, 5)}, {[]string{"dir.", "x"}, sample(60, 6)},
	}
	for _, v := range []Version{V1, V2, Hybrid} {
		b := planned(t, "odd\xff", contents, v, 16<<10)
		m, err := b.Metainfo()
		if err != nil {
			t.Fatal(err)
		}
		if m.Info.RawName != "odd\xff" || m.Info.Name != "odd%FF" {
			t.Errorf("%v: name %q from %q", v, m.Info.Name, m.Info.RawName)
		}
		for n := range m.Info.Files {
			f, plan := &m.Info.Files[n], &b.Info.Files[n]
			if f.Pad {
				continue
			}
			if !slices.Equal(f.RawPath(), plan.Path) || f.Length != plan.Length || f.Offset != plan.Offset {
				t.Errorf("%v: file %d is %q, planned %q", v, n, f.RawPath(), plan.Path)
			}
		}
	}
}

func TestPlanRefused(t *testing.T) {
	one := func(path ...string) []BuildFile { return []BuildFile{{Path: path, Length: 1}} }
	deepPath := slices.Repeat([]string{"d"}, 61)
	for name, c := range map[string]struct {
		name   string
		single bool
		files  []BuildFile
		v      Version
		piece  int64
	}{
		"no format":                  {"n", false, one("a"), 0, 0},
		"an unknown format":          {"n", false, one("a"), 4, 0},
		"no files":                   {"n", false, nil, V1, 0},
		"only empty files":           {"n", false, []BuildFile{{Path: []string{"a"}}}, Hybrid, 0},
		"no name":                    {"", false, one("a"), V1, 0},
		"a name with a slash":        {"a/b", false, one("a"), V1, 0},
		"the name ..":                {"..", false, one("a"), V1, 0},
		"no path":                    {"n", false, one(), V1, 0},
		"the path ..":                {"n", false, one("a", ".."), V1, 0},
		"an empty component":         {"n", false, one("a", "", "b"), V1, 0},
		"a NUL":                      {"n", false, one("a\x00"), V1, 0},
		"a negative length":          {"n", false, []BuildFile{{Path: []string{"a"}, Length: -1}}, V1, 0},
		"a single file of two":       {"n", true, append(one("n"), one("m")...), V1, 0},
		"a single file, other name":  {"n", true, one("m"), V1, 0},
		"a folder like its one file": {"n", false, one("n"), V2, 0},
		"a path twice":               {"n", false, append(one("a", "b"), one("a", "b")...), V1, 0},
		"a file that is a folder":    {"n", false, append(one("a", "b"), one("a")...), V1, 0},
		"a piece length of 8 KiB":    {"n", false, one("a"), V1, 8 << 10},
		"a piece length of 24 KiB":   {"n", false, one("a"), V1, 24 << 10},
		"an absurd piece length":     {"n", false, one("a"), V1, 2 * MaxPieceLength},
		"too deep for v2":            {"n", false, one(deepPath...), V2, 0},
		"too deep for v1":            {"n", false, one(slices.Repeat([]string{"d"}, 101)...), V1, 0},
		"a path that is too long":    {"n", false, one(slices.Repeat([]string{strings.Repeat("x", 200)}, 6)...), V1, 0},
		"too many pieces":            {"n", false, []BuildFile{{Path: []string{"a"}, Length: 1 << 40}}, V1, 16 << 10},
		"lengths that overflow":      {"n", false, []BuildFile{{Path: []string{"a"}, Length: 1<<63 - 1}, {Path: []string{"b"}, Length: 1<<63 - 1}}, Hybrid, 0},
		"too large in the end":       {"n", false, []BuildFile{{Path: []string{"a"}, Length: 2_000_000 * 16 << 10}}, Hybrid, 16 << 10},
	} {
		if i, err := PlanLayout(c.name, c.single, c.files, c.v, c.piece); err == nil {
			t.Errorf("%s: %+v", name, i)
		}
	}
	if _, err := PlanLayout("n", false, one(deepPath[:60]...), Hybrid, 0); err != nil {
		t.Errorf("60 components: %v", err)
	}
	if i, err := PlanLayout("n", false, one("n"), Hybrid, 0); err != nil || i.Single {
		t.Errorf("a hybrid folder of one file of its name: %+v, %v", i, err)
	}
}

// What would be too large a .torrent in the end is refused before anything is hashed, by its size as it will be.
func TestPlanKnowsTheSize(t *testing.T) {
	folder := strings.Repeat("d", 250)
	plan := func(n int) ([]BuildFile, *Info, error) {
		files := make([]BuildFile, n)
		for k := range files {
			files[k] = BuildFile{Path: []string{folder, folder, folder, fmt.Sprintf("%0200d", k)}, Length: 1 + int64(k%40000), Executable: true}
		}
		i, err := PlanLayout("n", false, files, Hybrid, 16<<10)
		return files, i, err
	}
	if _, _, err := plan(55_000); err == nil {
		t.Error("55,000 files of 953 bytes of path are planned")
	}
	files, i, err := plan(100)
	if err != nil {
		t.Fatal(err)
	}
	b := &Build{Info: i, Files: files, V1Pieces: make([]byte, 20*i.NumPieces())}
	for k := range files {
		leaves := numbered32(int(ceilDiv(files[k].Length, BlockSize)))
		files[k].Root = plainRoot(leaves, ceilPow2(len(leaves)))
		if len(leaves) > 1 {
			files[k].Layer = flat(leaves)
		}
	}
	m, err := b.Metainfo()
	if err != nil {
		t.Fatal(err)
	}
	size, err := i.encodedSize()
	if got := len(m.Bytes()); err != nil || size < got || size > got+300 {
		t.Errorf("%d bytes were planned, %d became of it: %v", size, got, err)
	}
}

// The deepest tree that is planned for v2 can be read again.
func TestDeepest(t *testing.T) {
	path := slices.Repeat([]string{"d"}, maxTreeDepth)
	for _, v := range []Version{V2, Hybrid} {
		m := share(t, "deep", []content{{path, sample(5, 1)}}, v, 16<<10)
		if !slices.Equal(m.Info.Files[0].Path, path) {
			t.Errorf("%v: %q", v, m.Info.Files[0].Path)
		}
	}
	m := share(t, "deep", []content{{slices.Repeat([]string{"d"}, MaxDepth), sample(5, 1)}}, V1, 16<<10)
	if len(m.Info.Files[0].Path) != MaxDepth {
		t.Errorf("%q", m.Info.Files[0].Path)
	}
}

// Hashes that do not belong to the plan are found out.
func TestBuildRefused(t *testing.T) {
	for name, spoil := range map[string]func(b *Build){
		"a file less":        func(b *Build) { b.Files = b.Files[1:] },
		"a file more":        func(b *Build) { b.Files = append(b.Files, b.Files[0]) },
		"another order":      func(b *Build) { b.Files[0], b.Files[1] = b.Files[1], b.Files[0] },
		"no root":            func(b *Build) { b.Files[0].Root = [32]byte{} },
		"no layer":           func(b *Build) { b.Files[0].Layer = nil },
		"another layer":      func(b *Build) { b.Files[0].Layer[0]++ },
		"a v1 hash too few":  func(b *Build) { b.V1Pieces = b.V1Pieces[20:] },
		"no v1 hashes":       func(b *Build) { b.V1Pieces = nil },
		"a v1 hash too many": func(b *Build) { b.V1Pieces = append(b.V1Pieces, b.V1Pieces[:20]...) },
	} {
		b := planned(t, "tree", tree(), Hybrid, 16<<10)
		spoil(b)
		if m, err := b.Metainfo(); err == nil {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

func TestChoosePieceLength(t *testing.T) {
	const kib, mib, gib = int64(1) << 10, int64(1) << 20, int64(1) << 30
	for _, c := range []struct {
		name    string
		lengths []int64
		v       Version
		want    int64
	}{
		{"nothing", nil, Hybrid, 16 * kib},
		{"a byte", []int64{1}, Hybrid, 16 * kib},
		{"32 MiB", []int64{32 * mib}, V1, 16 * kib},
		{"32 MiB and a byte", []int64{32*mib + 1}, V1, 32 * kib},
		{"256 MiB", []int64{256 * mib}, Hybrid, 128 * kib},
		{"2 GiB", []int64{2 * gib}, Hybrid, mib},
		{"4 GiB", []int64{4 * gib}, V2, 2 * mib},
		{"100 GiB", []int64{100 * gib}, Hybrid, 16 * mib},
		{"600 GiB", []int64{600 * gib}, V1, 16 * mib},
		{"absurd", []int64{1 << 62, 1 << 62}, V1, 16 * mib},
		{"2,000 × 256 KiB", slices.Repeat([]int64{256 * kib}, 2000), Hybrid, 256 * kib},
		{"2,000 × 257 KiB", slices.Repeat([]int64{257 * kib}, 2000), Hybrid, 16 * kib},
		{"10,000 × 10 KiB", slices.Repeat([]int64{10 * kib}, 10_000), Hybrid, 16 * kib},
		{"10,000 × 10 KiB", slices.Repeat([]int64{10 * kib}, 10_000), V1, 64 * kib},
		{"100 × 100 MiB + 1", slices.Repeat([]int64{100*mib + 1}, 100), Hybrid, 8 * mib},
		{"10,000 × 1 MiB + 1 cannot be finer", slices.Repeat([]int64{mib + 1}, 10_000), Hybrid, 128 * kib},
		{"100,000 files", slices.Repeat([]int64{100}, 100_000), Hybrid, 16 * kib},
	} {
		got, padding := ChoosePieceLength(c.lengths, c.v)
		if got != c.want {
			t.Errorf("%s %v: %d KiB, want %d KiB", c.name, c.v, got/kib, c.want/kib)
		}
		if c.v != Hybrid && padding != 0 {
			t.Errorf("%s %v: %d bytes of padding", c.name, c.v, padding)
		}
	}
}

// TestChosenPadding checks the rules against plans of random trees: padding at most a tenth or no smaller choice left,
// not too many pieces, and the same whatever the order.
func TestChosenPadding(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for round := range 300 {
		files := make([]BuildFile, 1+rng.IntN(200))
		lengths := make([]int64, len(files))
		for n := range files {
			lengths[n] = rng.Int64N(1 << (4 + rng.IntN(30)))
			files[n] = BuildFile{Path: []string{fmt.Sprint(n)}, Length: lengths[n]}
		}
		lengths[0]++
		files[0].Length++
		length, most := ChoosePieceLength(lengths, Hybrid)
		i, err := PlanLayout("x", false, files, Hybrid, 0)
		if err != nil {
			t.Fatal(err)
		}
		if i.PieceLength != length || i.Padding() > most || i.NumPieces() > padMaxPieces {
			t.Fatalf("round %d: planned %d with %d, chosen %d with %d, %d pieces", round, i.PieceLength, i.Padding(), length, most, i.NumPieces())
		}
		if least := leastPieceLength(lengths, i.Bytes(), Hybrid, padMaxPieces); i.Padding() > i.Bytes()/10 && length > least {
			t.Fatalf("round %d: %d of %d bytes are padding", round, i.Padding(), i.Bytes())
		}
		slices.Reverse(lengths)
		if again, _ := ChoosePieceLength(lengths, Hybrid); again != length {
			t.Fatalf("round %d: the order shows: %d, %d", round, again, length)
		}
	}
}

func TestErrorUnwraps(t *testing.T) {
	_, err := Parse([]byte("x"))
	var e *Error
	if !errors.As(err, &e) || errors.Unwrap(e) == nil || !strings.HasPrefix(e.Error(), "metainfo: not a .torrent file: ") {
		t.Errorf("%v", err)
	}
}
