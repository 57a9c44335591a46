import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.util.Properties;

/** Prints what java.sql.DatabaseMetaData says of a database. */
public class Metadata {
    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        for (String part : args[0].split(" ")) {
            String[] kv = part.split("=", 2);
            p.setProperty(kv[0], kv[1]);
        }
        p.setProperty("password", System.getenv("PGPASSWORD"));
        String url = "jdbc:postgresql://" + p.getProperty("host") + ":" + p.getProperty("port") + "/" + p.getProperty("dbname");
        try (Connection c = DriverManager.getConnection(url, p)) {
            DatabaseMetaData m = c.getMetaData();
            print("catalogs", m.getCatalogs());
            print("schemas", m.getSchemas());
            print("tables", m.getTables(null, "sales", "%", null));
            print("columns", m.getColumns(null, "sales", "%", "%"));
            print("primary keys", m.getPrimaryKeys(null, "sales", "customers"));
            print("imported keys", m.getImportedKeys(null, "sales", "orders"));
            print("exported keys", m.getExportedKeys(null, "sales", "customers"));
            print("cross reference", m.getCrossReference(null, "sales", "customers", null, "sales", "orders"));
            print("indexes", m.getIndexInfo(null, "sales", "customers", false, false));
            print("procedures", m.getProcedures(null, "sales", "%"));
            print("procedure columns", m.getProcedureColumns(null, "sales", "%", "%"));
            print("functions", m.getFunctions(null, "sales", "%"));
            print("function columns", m.getFunctionColumns(null, "sales", "%", "%"));
            print("types", m.getTypeInfo());
            print("udts", m.getUDTs(null, "sales", "%", null));
            print("table privileges", m.getTablePrivileges(null, "sales", "%"));
            print("column privileges", m.getColumnPrivileges(null, "sales", "customers", "%"));
            print("best row", m.getBestRowIdentifier(null, "sales", "customers", 0, true));
            print("versions", m.getVersionColumns(null, "sales", "customers"));
            print("client info", m.getClientInfoProperties());
            System.out.println(m.getMaxColumnNameLength() + " " + m.getSQLKeywords().length() + " " + m.getDatabaseProductVersion());
        }
    }

    private static void print(String what, ResultSet rows) throws Exception {
        System.out.println("== " + what);
        ResultSetMetaData m = rows.getMetaData();
        while (rows.next()) {
            StringBuilder line = new StringBuilder();
            for (int i = 1; i <= m.getColumnCount(); i++) {
                line.append(m.getColumnName(i)).append('=').append(rows.getString(i)).append('|');
            }
            System.out.println(line);
        }
    }
}
