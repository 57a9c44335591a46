// Command golang does what Go's other drivers and object mappers do: lib/pq, and GORM,
// which migrates by the models.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"sort"

	"github.com/lib/pq"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

func main() {
	log.SetFlags(0)
	programs := map[string]func(context.Context, string) error{"pq": libpq, "gorm": mapper}
	if len(os.Args) != 3 || programs[os.Args[1]] == nil {
		log.Fatal("usage: golang pq|gorm DSN")
	}
	if err := programs[os.Args[1]](context.Background(), os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

// libpq is lib/pq: simple and prepared statements, COPY, errors, arrays, LISTEN's
// connection, and a cancel.
func libpq(ctx context.Context, dsn string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE TABLE rows (id serial PRIMARY KEY, name text UNIQUE, n numeric, tags text[], at timestamptz)"); err != nil {
		return err
	}
	var id int
	err = db.QueryRowContext(ctx, "INSERT INTO rows (name, n, tags, at) VALUES ($1, $2, $3, $4) RETURNING id", "first", "1.50", pq.Array([]string{"a", `b"c`}), "2020-01-02 03:04:05+00").Scan(&id)
	fmt.Println(id, err)
	_, err = db.ExecContext(ctx, "INSERT INTO rows (name) VALUES ($1)", "first")
	var said *pq.Error
	if errors.As(err, &said) {
		fmt.Println(said.Code, said.Code.Name(), said.Severity)
	}
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	if err != nil {
		return err
	}
	copied, err := tx.PrepareContext(ctx, pq.CopyIn("rows", "name", "n"))
	if err != nil {
		return err
	}
	for i := range 5 {
		if _, err := copied.ExecContext(ctx, fmt.Sprintf("copied %d", i), i); err != nil {
			return err
		}
	}
	if _, err := copied.ExecContext(ctx); err != nil {
		return err
	}
	if err := errors.Join(copied.Close(), tx.Commit()); err != nil {
		return err
	}
	kept, err := db.PrepareContext(ctx, "SELECT name, n::text, tags FROM rows WHERE id >= $1 ORDER BY id")
	if err != nil {
		return err
	}
	for range 2 {
		rows, err := kept.QueryContext(ctx, 1)
		if err != nil {
			return err
		}
		for rows.Next() {
			var name string
			var n sql.NullString
			var tags []string
			if err := rows.Scan(&name, &n, pq.Array(&tags)); err != nil {
				return err
			}
			fmt.Println(name, n.String, tags)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
	}
	cancelled, stop := context.WithCancel(ctx)
	stop()
	_, err = db.ExecContext(cancelled, "SELECT 1")
	fmt.Println(errors.Is(err, context.Canceled))
	rows, err := db.QueryContext(ctx, "SELECT 1; SELECT 2")
	if err != nil {
		return err
	}
	for sets := true; sets; sets = rows.NextResultSet() {
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				return err
			}
			fmt.Println(n)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close(), kept.Close()); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "DROP TABLE rows")
	return err
}

type author struct {
	ID    uint   `gorm:"primarykey"`
	Name  string `gorm:"size:80;uniqueIndex;not null"`
	Books []book
}

type book struct {
	ID       uint    `gorm:"primarykey"`
	AuthorID uint    `gorm:"index"`
	Title    string  `gorm:"not null;default:untitled"`
	Price    float64 `gorm:"type:numeric(10,2);check:price >= 0"`
}

// longerBook is the model's next version.
type longerBook struct {
	book
	Pages int `gorm:"comment:without the cover"`
}

func (longerBook) TableName() string { return "books" }

// mapper is GORM: migrations by the models, twice, and what its statements are.
func mapper(_ context.Context, dsn string) error {
	db, err := gorm.Open(postgres.Open(dsn), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return err
	}
	for range 2 {
		if err := db.AutoMigrate(&author{}, &book{}); err != nil {
			return err
		}
	}
	if err := db.AutoMigrate(&longerBook{}); err != nil {
		return err
	}
	columns, err := db.Migrator().ColumnTypes(&longerBook{})
	if err != nil {
		return err
	}
	var names []string
	for _, c := range columns {
		nullable, _ := c.Nullable()
		names = append(names, fmt.Sprint(c.Name(), " ", c.DatabaseTypeName(), " ", nullable))
	}
	sort.Strings(names)
	fmt.Println(names, db.Migrator().HasIndex(&author{}, "Name"), db.Migrator().HasColumn(&longerBook{}, "Pages"))
	who := author{Name: "Ann", Books: []book{{Title: "one", Price: 1.5}, {Title: "two"}}}
	if err := db.Create(&who).Error; err != nil {
		return err
	}
	fmt.Println(db.Create(&author{Name: "Ann"}).Error != nil, db.Create(&book{AuthorID: who.ID, Price: -1}).Error != nil)
	var found []author
	err = db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Model(&book{}).Where("author_id = ?", who.ID).Update("price", gorm.Expr("price + ?", 1)).Error; err != nil {
			return err
		}
		return tx.Preload("Books", func(q *gorm.DB) *gorm.DB { return q.Order("id") }).Joins("JOIN books ON books.author_id = authors.id").Group("authors.id").Find(&found).Error
	})
	if err != nil {
		return err
	}
	for _, a := range found {
		fmt.Println(a.Name, len(a.Books), a.Books[0].Price)
	}
	if err := db.Delete(&book{}, "author_id = ?", who.ID).Error; err != nil {
		return err
	}
	return db.Migrator().DropTable(&book{}, &author{})
}
