# Migrates a database forth and back with ActiveRecord, and uses it in between.
require "active_record"

parts = ARGV[0].split.to_h { |p| p.split("=", 2) }
ActiveRecord::Base.establish_connection(
  adapter: "postgresql", host: parts["host"], port: parts["port"], database: parts["dbname"], username: parts["user"],
  password: ENV["PGPASSWORD"], sslmode: parts["sslmode"], sslrootcert: parts["sslrootcert"], min_messages: "notice"
)
ActiveRecord::Migration.verbose = false

class Author < ActiveRecord::Base; has_many :books; end
class Book < ActiveRecord::Base; belongs_to :author; end

class First < ActiveRecord::Migration[6.1]
  def change
    create_table(:authors) { |t| t.string :name, null: false, limit: 100; t.timestamps default: "2020-01-01" }
    create_table(:books, comment: "what is read") do |t|
      t.references :author, foreign_key: { on_delete: :cascade }, index: true
      t.text :title
      t.decimal :price, precision: 8, scale: 2, default: 0
      t.jsonb :details, default: {}
      t.check_constraint "price >= 0", name: "price_not_negative"
    end
  end
end

class Second < ActiveRecord::Migration[6.1]
  def up
    add_column :books, :pages, :integer
    Author.reset_column_information
    Author.create!(name: "Ada")
    change_column_null :books, :pages, false, 1
    change_column_default :books, :pages, from: nil, to: 1
    rename_column :books, :title, :name
  end

  def down
    rename_column :books, :name, :title
    remove_column :books, :pages
  end
end

class Third < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!

  def change
    add_index :books, :name, algorithm: :concurrently
  end
end

proxies = [[1, First], [2, Second], [3, Third]].map do |version, migration|
  Class.new(ActiveRecord::MigrationProxy) { define_method(:migration) { @own ||= migration.new(name, version) } }.new(migration.name, version, nil, "")
end
history = ActiveRecord::SchemaMigration
migrate = ->(direction, target) { ActiveRecord::Migrator.new(direction, proxies, history, target).migrate }
history.create_table
ActiveRecord::InternalMetadata.create_table
migrate.call(:up, nil)
puts history.all_versions.inspect
[Author, Book].each(&:reset_column_information)
ada = Author.find_by!(name: "Ada")
3.times { |i| ada.books.create!(name: "Notes #{i}", price: i, details: { n: i }) }
puts Book.includes(:author).order(:name).map { |b| [b.name, b.price.to_s, b.details, b.pages, b.author.name].inspect }
begin
  Book.transaction { Book.first.update!(price: -1) }
rescue ActiveRecord::StatementInvalid => e
  puts e.cause.class
end
Book.transaction { Book.transaction(requires_new: true) { Book.last.destroy!; raise ActiveRecord::Rollback } }
Book.lock.find_each(batch_size: 2) { |b| puts b.name }
Book.insert_all([{ name: "bulk", author_id: ada.id }])
puts Book.where("details @> ?", { n: 1 }.to_json).count, Book.group(:author_id).sum(:price).values.map(&:to_s)
migrate.call(:down, 0)
puts history.all_versions.inspect, ActiveRecord::Base.connection.tables.inspect
ActiveRecord::InternalMetadata.drop_table
history.drop_table
