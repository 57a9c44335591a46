package catalog

// Release is a day on which PostgreSQL published a minor version of every major version
// that was alive, with changes of what it asks rights for.
type Release int

// The releases that analysis tells apart.
const (
	August2026 Release = iota
	November2026
)

// HasRelease reports whether a server of that server_version_num has what came with a
// release. Major versions that came later have it.
func HasRelease(version int, r Release) bool {
	major, minor := version/10000, version%10000
	// The minor versions in which it came.
	var first [2]int
	switch major {
	case 14:
		first = [2]int{24, 25}
	case 15:
		first = [2]int{19, 20}
	case 16:
		first = [2]int{15, 16}
	case 17:
		first = [2]int{11, 12}
	case 18:
		first = [2]int{5, 7}
	default:
		return major > 18
	}
	return minor >= first[r]
}
