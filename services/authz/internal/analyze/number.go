package analyze

// number scans a numeric literal with scan.l's rules of PostgreSQL 16 and newer,
// underscores and other bases included; skew.go refuses those to older servers.
// What may not follow a number ("trailing junk") is malformed.
func (l *lexer) number() tokenKind {
	if l.text[l.pos] == '0' {
		switch l.at(l.pos + 1) {
		case 'x', 'X':
			return l.based(isHexDigit)
		case 'o', 'O':
			return l.based(func(c byte) bool { return c >= '0' && c <= '7' })
		case 'b', 'B':
			return l.based(func(c byte) bool { return c == '0' || c == '1' })
		}
	}
	lettered := l.digits()
	if l.at(l.pos) == '.' {
		// "1..10" is a number and a pair of dots.
		if l.at(l.pos+1) == '.' {
			return tokenNumber
		}
		l.pos++
		lettered = l.digits()
	}
	if c := l.at(l.pos); c == 'e' || c == 'E' {
		exponent := l.pos + 1
		sign := l.at(exponent) == '+' || l.at(exponent) == '-'
		if sign {
			exponent++
		}
		if !isDigit(l.at(exponent)) {
			l.fault = lexMalformed
			return tokenEnd
		}
		l.pos = exponent
		return l.endNumber(l.digits() || !sign)
	}
	return l.endNumber(lettered)
}

// digits skips {decinteger}, or nothing, and reports whether an underscore was in
// it.
func (l *lexer) digits() bool {
	underscore := false
	for isDigit(l.at(l.pos)) || l.at(l.pos) == '_' && isDigit(l.at(l.pos+1)) && l.pos > 0 && isDigit(l.text[l.pos-1]) {
		underscore = underscore || l.text[l.pos] == '_'
		l.pos++
	}
	return underscore
}

func (l *lexer) based(digit func(byte) bool) tokenKind {
	l.pos += 2
	start := l.pos
	for l.pos < len(l.text) && (digit(l.text[l.pos]) || l.text[l.pos] == '_' && l.pos+1 < len(l.text) && digit(l.text[l.pos+1])) {
		l.pos++
	}
	if l.pos == start {
		l.fault = lexMalformed
		return tokenEnd
	}
	if isDigit(l.at(l.pos)) {
		// "0b09": the whole of it is junk.
		l.fault = lexMalformed
		return tokenEnd
	}
	return l.endNumber(true)
}

// endNumber rejects what may not follow a number. lettered says that its last part
// can be read as an identifier, which a dollar sign would make longer ("1e5$").
func (l *lexer) endNumber(lettered bool) tokenKind {
	if l.pos < len(l.text) && (isIdentStart(l.text[l.pos]) || lettered && l.text[l.pos] == '$') {
		l.fault = lexMalformed
		return tokenEnd
	}
	return tokenNumber
}

func isHexDigit(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
