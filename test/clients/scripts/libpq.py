"""What a libpq does that is named, of whatever version: protocol 3.2 where it speaks it, a
pipeline, COPY, a cancel over TLS, and with `oauth` a session by OAUTHBEARER."""
import ctypes
import os
import sys

library, mode, dsn = sys.argv[1:4]
pq = ctypes.CDLL(library)
for name in ("PQconnectdb", "PQexec", "PQgetResult", "PQcancelCreate"):
    getattr(pq, name).restype = ctypes.c_void_p
for name in ("PQerrorMessage", "PQcmdStatus", "PQgetvalue", "PQresultErrorField", "PQparameterStatus", "PQcancelErrorMessage"):
    getattr(pq, name).restype = ctypes.c_char_p


def connect(more=""):
    connection = ctypes.c_void_p(pq.PQconnectdb((dsn + more).encode()))
    if pq.PQstatus(connection) != 0:
        sys.exit("not connected: " + pq.PQerrorMessage(connection).decode())
    return connection


def told(result):
    result = ctypes.c_void_p(result)
    rows = [[pq.PQgetvalue(result, r, c).decode() for c in range(pq.PQnfields(result))] for r in range(pq.PQntuples(result))]
    state = pq.PQresultErrorField(result, ord("C"))
    status = pq.PQcmdStatus(result).decode()
    pq.PQclear(result)
    return status, rows, state and state.decode()


def run(connection, sql):
    print(told(pq.PQexec(connection, sql.encode())))


if mode == "oauth":
    class Request(ctypes.Structure):
        _fields_ = [("configuration", ctypes.c_char_p), ("scope", ctypes.c_char_p), ("asynchronous", ctypes.c_void_p),
                    ("cleanup", ctypes.c_void_p), ("token", ctypes.c_char_p), ("user", ctypes.c_void_p)]

    token = os.environ["PGPASSWORD"].encode()

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    def hook(kind, connection, data):
        bearer = 1  # PQAUTHDATA_OAUTH_BEARER_TOKEN
        if kind != bearer:
            return 0
        request = ctypes.cast(data, ctypes.POINTER(Request)).contents
        print("asked for a token, discovery", request.configuration is not None)
        request.token = token
        return 1

    pq.PQsetAuthDataHook(hook)
    os.environ.pop("PGPASSWORD")
    connection = connect()
    run(connection, "SELECT 1")
    pq.PQfinish(connection)
    sys.exit()

for protocol in ("3.0", "3.2", "latest"):
    connection = connect(f" max_protocol_version={protocol}")
    # Scopewire speaks 3.2 in front of servers that do not.
    print(protocol, pq.PQstatus(connection), pq.PQparameterStatus(connection, b"client_encoding").decode())
    canceller = ctypes.c_void_p(pq.PQcancelCreate(connection))
    pq.PQsendQuery(connection, b"SELECT pg_sleep(600)")
    pq.PQflush(connection)
    while pq.PQisBusy(connection):
        # One that comes before the statement runs has no effect.
        pq.PQcancelBlocking(canceller)
        pq.PQcancelReset(canceller)
        pq.PQconsumeInput(connection)
    print(told(pq.PQgetResult(connection)), pq.PQgetResult(connection))
    pq.PQcancelFinish(canceller)
    pq.PQfinish(connection)

connection = connect()
run(connection, "CREATE TABLE rows (id int PRIMARY KEY, name text)")
pq.PQenterPipelineMode(connection)
for i in range(3):
    pq.PQsendQueryParams(connection, f"INSERT INTO rows VALUES ({i}, 'n')".encode(), 0, None, None, None, None, 0)
pq.PQsendPipelineSync(connection)
pq.PQsendQueryParams(connection, b"INSERT INTO rows VALUES (1, 'again')", 0, None, None, None, None, 0)
pq.PQsendQueryParams(connection, b"SELECT 1", 0, None, None, None, None, 0)
pq.PQpipelineSync(connection)
nothing = 0
while nothing < 2:
    result = pq.PQgetResult(connection)
    if result is None:
        nothing += 1
        continue
    nothing = 0
    print(pq.PQresultStatus(ctypes.c_void_p(result)), told(result))
pq.PQexitPipelineMode(connection)
run(connection, "COPY rows FROM STDIN")
pq.PQputCopyData(connection, b"7\tseven\n", 8)
pq.PQputCopyEnd(connection, None)
print(told(pq.PQgetResult(connection)), pq.PQgetResult(connection))
pq.PQsendQuery(connection, b"SELECT id, name FROM rows ORDER BY id")
pq.PQsetChunkedRowsMode(connection, 2)
while result := pq.PQgetResult(connection):
    print(told(result))
run(connection, "DROP TABLE rows")
pq.PQfinish(connection)
