import java.io.StringReader;
import java.io.StringWriter;
import java.sql.BatchUpdateException;
import java.sql.CallableStatement;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Types;
import java.util.Arrays;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.PGStatement;
import org.postgresql.copy.CopyManager;

/** What JDBC does: server-side prepared statements, batches, fetch sizes, COPY, savepoints, cancels. */
public class Session {
    private static Properties address;
    private static String url;

    public static void main(String[] args) throws Exception {
        address = new Properties();
        for (String part : args[0].split(" ")) {
            String[] kv = part.split("=", 2);
            address.setProperty(kv[0], kv[1]);
        }
        address.setProperty("password", System.getenv("PGPASSWORD"));
        url = "jdbc:postgresql://" + address.getProperty("host") + ":" + address.getProperty("port") + "/" + address.getProperty("dbname");
        for (String mode : new String[] {"extended", "extendedForPrepared", "extendedCacheEverything", "simple"}) {
            System.out.println("-- " + mode);
            try (Connection c = open("preferQueryMode", mode)) {
                session(c, !mode.equals("simple"));
            }
        }
        System.out.println("-- failing batches");
        for (String autosave : new String[] {"never", "always", "conservative"}) {
            try (Connection c = open("autosave", autosave)) {
                autosave(c);
            }
        }
    }

    private static Connection open(String key, String value) throws SQLException {
        Properties p = new Properties();
        p.putAll(address);
        p.setProperty("prepareThreshold", "2");
        p.setProperty("defaultRowFetchSize", "3");
        p.setProperty(key, value);
        return DriverManager.getConnection(url, p);
    }

    private static void session(Connection c, boolean extended) throws Exception {
        if (extended) {
            try (CallableStatement call = c.prepareCall("{? = call upper(?)}")) {
                call.registerOutParameter(1, Types.VARCHAR);
                call.setString(2, "called");
                call.execute();
                System.out.println(call.getString(1));
            }
        }
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE items (id serial PRIMARY KEY, name text NOT NULL, price numeric(10, 2), data bytea, tags text[])");
        }
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("INSERT INTO items (name, price, data, tags) VALUES (?, ?, ?, ?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int i = 0; i < 10; i++) {
                s.setString(1, "item " + i);
                s.setBigDecimal(2, new java.math.BigDecimal(i + ".50"));
                if (extended) {
                    s.setBytes(3, new byte[] {(byte) i, 0, (byte) 0xff});
                } else {
                    s.setNull(3, Types.BINARY); // In this mode the driver has no text for bytes.
                }
                s.setArray(4, c.createArrayOf("text", new String[] {"a" + i, null}));
                s.addBatch();
            }
            System.out.println(Arrays.toString(s.executeBatch()));
            print(s.getGeneratedKeys());
        }
        c.commit();
        // Past the threshold it is a statement of the server, with binary values.
        try (PreparedStatement s = c.prepareStatement("SELECT id, name, price, data, tags FROM items WHERE id > ? ORDER BY id")) {
            for (int i = 0; i < 4; i++) {
                s.setInt(1, i);
                print(s.executeQuery());
                System.out.println(s.unwrap(PGStatement.class).isUseServerPrepare());
            }
        }
        // In pieces, over a portal that stays open; left in the middle.
        try (Statement s = c.createStatement()) {
            s.setFetchSize(3);
            ResultSet r = s.executeQuery("SELECT id FROM items ORDER BY id");
            for (int i = 0; i < 5; i++) {
                r.next();
                System.out.print(r.getInt(1) + " ");
            }
            System.out.println();
            r.close();
        }
        try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet r = s.executeQuery("SELECT id, name FROM items ORDER BY id");
            r.absolute(3);
            r.updateString("name", "changed");
            r.updateRow();
            r.last();
            System.out.println(r.getRow() + " " + r.getString("name"));
        }
        Savepoint before = c.setSavepoint("before");
        try (Statement s = c.createStatement()) {
            s.execute("INSERT INTO items (id, name) VALUES (1, 'twice')");
        } catch (SQLException e) {
            System.out.println(e.getSQLState());
        }
        c.rollback(before);
        CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
        System.out.println(copy.copyIn("COPY items (name, price) FROM STDIN", new StringReader("copied\t1.25\nagain\t\\N\n")));
        StringWriter out = new StringWriter();
        copy.copyOut("COPY (SELECT name, price FROM items ORDER BY id) TO STDOUT WITH CSV HEADER", out);
        System.out.print(out);
        c.commit();
        c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
        c.setReadOnly(true);
        try (Statement s = c.createStatement()) {
            s.execute("DELETE FROM items");
        } catch (SQLException e) {
            System.out.println(e.getSQLState());
        }
        c.rollback();
        c.setReadOnly(false);
        c.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        try (Statement s = c.createStatement()) {
            boolean rows = s.execute("SELECT 1; UPDATE items SET price = 2 WHERE id = 2; SELECT price FROM items WHERE id = 2");
            for (; rows || s.getUpdateCount() >= 0; rows = s.getMoreResults()) {
                if (rows) {
                    print(s.getResultSet());
                } else {
                    System.out.println("updated " + s.getUpdateCount());
                }
            }
        }
        c.commit();
        // The driver's own timer cancels.
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.execute("SELECT pg_sleep(60)");
        } catch (SQLException e) {
            System.out.println(e.getSQLState());
        }
        c.rollback();
        System.out.println(c.isValid(5) + " " + c.getMetaData().getTables(null, null, "items", null).next());
        c.setAutoCommit(true);
        try (Statement s = c.createStatement()) {
            s.execute("DISCARD ALL");
            s.execute("DROP TABLE items");
        }
    }

    private static void autosave(Connection c) throws Exception {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TABLE items (id int PRIMARY KEY)");
        }
        c.setAutoCommit(false);
        try (PreparedStatement s = c.prepareStatement("INSERT INTO items VALUES (?)")) {
            for (int i : new int[] {1, 2, 2, 3}) {
                s.setInt(1, i);
                s.addBatch();
            }
            s.executeBatch();
        } catch (BatchUpdateException e) {
            System.out.println(e.getSQLState() + " " + Arrays.toString(e.getUpdateCounts()));
        }
        try (Statement s = c.createStatement()) {
            print(s.executeQuery("SELECT count(*) FROM items"));
        } catch (SQLException e) {
            System.out.println(e.getSQLState());
        }
        c.rollback();
        c.setAutoCommit(true);
        try (Statement s = c.createStatement()) {
            s.execute("DROP TABLE items");
        }
    }

    private static void print(ResultSet r) throws SQLException {
        int n = r.getMetaData().getColumnCount();
        while (r.next()) {
            StringBuilder line = new StringBuilder();
            for (int i = 1; i <= n; i++) {
                Object v = r.getObject(i);
                line.append(i > 1 ? " | " : "").append(v instanceof byte[] ? Arrays.toString((byte[]) v) : String.valueOf(v));
            }
            System.out.println(line);
        }
        r.close();
    }
}
