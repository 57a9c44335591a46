# Prints the schema that ActiveRecord dumps of a database.
require "active_record"
require "stringio"

parts = ARGV[0].split.to_h { |p| p.split("=", 2) }
ActiveRecord::Base.establish_connection(
  adapter: "postgresql", host: parts["host"], port: parts["port"], database: parts["dbname"], username: parts["user"],
  password: ENV["PGPASSWORD"], sslmode: parts["sslmode"], sslrootcert: parts["sslrootcert"], min_messages: "notice"
)
connection = ActiveRecord::Base.connection
out = StringIO.new
ActiveRecord::SchemaDumper.dump(connection, out)
puts out.string
connection.schema_names.sort.each { |name| puts "schema #{name}" }
connection.tables.sort.each do |table|
  puts table, connection.columns(table).map { |c| [c.name, c.sql_type, c.default, c.null, c.comment].inspect }
  puts connection.primary_keys(table).inspect, connection.indexes(table).map { |i| [i.name, i.columns, i.unique, i.where].inspect }.sort
  puts connection.foreign_keys(table).map { |k| [k.from_table, k.to_table, k.options].inspect }
end
connection.views.sort.each { |view| puts "view #{view}" }
