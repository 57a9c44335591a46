package analyze

// accountedStatements are the fields of statements other than queries, as
// accountedFields has those of queries. Where a statement needs admin, which is granted
// for everything of its kind, all of its fields are accounted for.
func accountedStatements() map[string]string {
	return map[string]string{
		// The session.
		"VariableSetStmt":    "kind name args is_local",
		"ConstraintsSetStmt": "constraints deferred",
		"DiscardStmt":        "target",
		"PrepareStmt":        "name argtypes query",
		"ExecuteStmt":        "name params",
		"DeallocateStmt":     "name isall",
		"DeclareCursorStmt":  "portalname options query",               // options: scrolling, holding
		"FetchStmt":          "direction how_many portalname ismove",   // how far
		"ClosePortalStmt":    "portalname",                             //
		"ListenStmt":         "conditionname",                          //
		"UnlistenStmt":       "conditionname",                          //
		"NotifyStmt":         "conditionname payload payload_location", // payload: data
		"LockStmt":           "relations mode nowait",                  // nowait: no names
		"CopyStmt":           "relation query attlist is_from is_program filename options where_clause",
		// Tables.
		"CreateStmt": "relation table_elts inh_relations partbound partspec of_typename options oncommit" +
			" tablespacename access_method if_not_exists", // options: storage; oncommit, if_not_exists: no names; access_method: only superusers make one
		"Constraint": "contype conname deferrable initdeferred skip_validation initially_valid is_no_inherit raw_expr" +
			" generated_when nulls_not_distinct keys including exclusions options indexname indexspace access_method" +
			" where_clause pktable fk_attrs pk_attrs fk_matchtype fk_upd_action fk_del_action fk_del_set_cols", // keys, fk_attrs: the table's own columns
		"TableLikeClause":     "relation options",                                                         // options: what is copied
		"PartitionSpec":       "strategy part_params",                                                     //
		"PartitionElem":       "name expr collation opclass",                                              // name: the table's own column
		"PartitionBoundSpec":  "strategy is_default modulus remainder listdatums lowerdatums upperdatums", //
		"PartitionCmd":        "name bound concurrent",                                                    //
		"CreateTableAsStmt":   "query into objtype if_not_exists",                                         //
		"IntoClause":          "rel col_names access_method options on_commit table_space_name skip_data", // as of CreateStmt
		"ViewStmt":            "view aliases query replace options with_check_option",                     // options: security_invoker and kin, narrower than the owner's rights
		"AlterTableStmt":      "relation cmds objtype missing_ok",                                         //
		"AlterTableCmd":       "subtype name num newowner def behavior missing_ok",                        // name, num: the table's own
		"ReplicaIdentityStmt": "identity_type name",
		"IndexStmt": "idxname relation access_method table_space index_params index_including_params options where_clause" +
			" unique nulls_not_distinct concurrent if_not_exists",
		"CreateStatsStmt":  "defnames stat_types exprs relations if_not_exists",
		"StatsElem":        "name expr", // name: the table's own column
		"AlterStatsStmt":   "defnames stxstattarget missing_ok",
		"CreateSeqStmt":    "sequence options if_not_exists",
		"AlterSeqStmt":     "sequence options missing_ok",
		"CreateSchemaStmt": "schemaname authrole schema_elts if_not_exists",
		"RoleSpec":         "roletype rolename", // in statements of administration, and as the roles of a policy
		// Maintenance.
		"VacuumStmt":         "options rels is_vacuumcmd",
		"VacuumRelation":     "relation va_cols", // va_cols: the table's own
		"ClusterStmt":        "relation indexname params",
		"ReindexStmt":        "kind relation name params",
		"RefreshMatViewStmt": "concurrent skip_data relation",
		// Code and types.
		"CreateFunctionStmt":       "is_procedure replace funcname parameters return_type options sql_body",
		"FunctionParameter":        "name arg_type mode defexpr",
		"ReturnStmt":               "returnval",
		"AlterFunctionStmt":        "objtype func actions",
		"DoStmt":                   "args",
		"CallStmt":                 "funccall",
		"CreateTrigStmt":           "replace isconstraint trigname relation funcname args row timing events columns when_clause transition_rels deferrable initdeferred constrrel",
		"TriggerTransition":        "name is_new is_table",
		"RuleStmt":                 "relation rulename where_clause event instead actions replace",
		"CreatePolicyStmt":         "policy_name table cmd_name permissive roles qual with_check",
		"AlterPolicyStmt":          "policy_name table roles qual with_check",
		"DefineStmt":               "kind oldstyle defnames args definition if_not_exists replace",
		"CompositeTypeStmt":        "typevar coldeflist",
		"CreateEnumStmt":           "type_name vals",
		"AlterEnumStmt":            "type_name old_val new_val new_val_neighbor new_val_is_after skip_if_new_val_exists",
		"CreateRangeStmt":          "type_name params",
		"CreateDomainStmt":         "domainname type_name coll_clause constraints",
		"AlterDomainStmt":          "subtype type_name name def behavior missing_ok",
		"AlterOperatorStmt":        "opername options",
		"AlterCollationStmt":       "collname",
		"AlterTSDictionaryStmt":    "dictname options",
		"AlterTSConfigurationStmt": "kind cfgname tokentype dicts override replace missing_ok",
		// Objects of any type.
		"DropStmt":               "objects remove_type behavior missing_ok concurrent",
		"RenameStmt":             "rename_type relation_type relation object subname newname behavior missing_ok",
		"AlterObjectSchemaStmt":  "object_type relation object newschema missing_ok",
		"AlterOwnerStmt":         "object_type object newowner",
		"AlterObjectDependsStmt": "object_type relation object extname remove",
		"CommentStmt":            "objtype object comment",
		"SecLabelStmt":           "objtype object provider label",
		"ObjectWithArgs":         "objname objargs objfuncargs args_unspecified", // arguments: which overload
		// Administration.
		"GrantStmt":                    "is_grant targtype objtype objects privileges grantees grant_option grantor behavior",
		"AccessPriv":                   "priv_name cols",
		"GrantRoleStmt":                "granted_roles grantee_roles is_grant opt grantor behavior",
		"AlterDefaultPrivilegesStmt":   "options action",
		"CreateRoleStmt":               "stmt_type role options",
		"AlterRoleStmt":                "role options action",
		"AlterRoleSetStmt":             "role database setstmt",
		"DropRoleStmt":                 "roles missing_ok",
		"ReassignOwnedStmt":            "roles newrole",
		"DropOwnedStmt":                "roles behavior",
		"CreateTableSpaceStmt":         "tablespacename owner location options",
		"DropTableSpaceStmt":           "tablespacename missing_ok",
		"AlterTableSpaceOptionsStmt":   "tablespacename options is_reset",
		"AlterTableMoveAllStmt":        "orig_tablespacename objtype roles new_tablespacename nowait",
		"CreateExtensionStmt":          "extname if_not_exists options",
		"AlterExtensionStmt":           "extname options",
		"AlterExtensionContentsStmt":   "extname action objtype object",
		"CreateFdwStmt":                "fdwname func_options options",
		"AlterFdwStmt":                 "fdwname func_options options",
		"CreateForeignServerStmt":      "servername servertype version fdwname if_not_exists options",
		"AlterForeignServerStmt":       "servername version options has_version",
		"CreateForeignTableStmt":       "base_stmt servername options",
		"CreateUserMappingStmt":        "user servername if_not_exists options",
		"AlterUserMappingStmt":         "user servername options",
		"DropUserMappingStmt":          "user servername missing_ok",
		"ImportForeignSchemaStmt":      "server_name remote_schema local_schema list_type table_list options",
		"CreateAmStmt":                 "amname handler_name amtype",
		"CreateEventTrigStmt":          "trigname eventname whenclause funcname",
		"AlterEventTrigStmt":           "trigname tgenabled",
		"CreatePLangStmt":              "replace plname plhandler plinline plvalidator pltrusted",
		"CreateOpClassStmt":            "opclassname opfamilyname amname datatype items is_default",
		"CreateOpClassItem":            "itemtype name number order_family class_args storedtype",
		"CreateOpFamilyStmt":           "opfamilyname amname",
		"AlterOpFamilyStmt":            "opfamilyname amname is_drop items",
		"CreateCastStmt":               "sourcetype targettype func context inout",
		"CreateTransformStmt":          "replace type_name lang fromsql tosql",
		"CreateConversionStmt":         "conversion_name for_encoding_name to_encoding_name func_name def",
		"AlterTypeStmt":                "type_name options",
		"CreatePublicationStmt":        "pubname options pubobjects for_all_tables",
		"AlterPublicationStmt":         "pubname options pubobjects action",
		"PublicationObjSpec":           "pubobjtype name pubtable",
		"PublicationTable":             "relation where_clause columns",
		"CreateSubscriptionStmt":       "subname conninfo publication options conninfo_location",
		"AlterSubscriptionStmt":        "kind subname conninfo publication options conninfo_location",
		"DropSubscriptionStmt":         "subname missing_ok behavior",
		"LoadStmt":                     "filename",
		"CheckPointStmt":               "",
		"CreatedbStmt":                 "dbname options",
		"AlterDatabaseStmt":            "dbname options",
		"AlterDatabaseRefreshCollStmt": "dbname",
		"AlterDatabaseSetStmt":         "dbname setstmt",
		"DropdbStmt":                   "dbname missing_ok options",
		"AlterSystemStmt":              "setstmt",
	}
}
