package analyze

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// Types that the grammar or parse analysis gives to what it makes (pg_type.dat).
const (
	typeChar        catalog.OID = 18
	typeName        catalog.OID = 19
	typeInt2        catalog.OID = 21
	typeInt2Vector  catalog.OID = 22
	typeOID         catalog.OID = 26
	typeInternal    catalog.OID = 2281
	typeTID         catalog.OID = 27
	typeXID         catalog.OID = 28
	typeCID         catalog.OID = 29
	typeOIDVector   catalog.OID = 30
	typeJSON        catalog.OID = 114
	typeXML         catalog.OID = 142
	typePoint       catalog.OID = 600
	typeLseg        catalog.OID = 601
	typeBox         catalog.OID = 603
	typeLine        catalog.OID = 628
	typeFloat4      catalog.OID = 700
	typeFloat8      catalog.OID = 701
	typeBytea       catalog.OID = 17
	typeDate        catalog.OID = 1082
	typeTime        catalog.OID = 1083
	typeTimestamp   catalog.OID = 1114
	typeTimestampTZ catalog.OID = 1184
	typeInterval    catalog.OID = 1186
	typeTimeTZ      catalog.OID = 1266
	typeBit         catalog.OID = 1560
	typeRecords     catalog.OID = 2287
	typeJSONB       catalog.OID = 3802
	typeJSONPath    catalog.OID = 4072
	typeCString     catalog.OID = 2275
	typeCStrings    catalog.OID = 1263
	typeTexts       catalog.OID = 1009
	typeTSQuery     catalog.OID = 3615
)
