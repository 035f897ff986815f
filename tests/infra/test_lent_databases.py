"""A PostgreSQL database that one test after another gets is as good as a new one."""

import psycopg

from tests.postgres import Cluster


def test_what_one_test_wrote_is_gone_for_the_next(cluster: Cluster) -> None:
    with cluster.lent() as url:
        fresh = _content(url)
        with psycopg.connect(url) as connection:
            connection.execute("insert into tracking_key (name) values ('a')")
            connection.execute("update tracking_metric_fold set upto = 7")
    with cluster.lent() as again:
        assert again == url
        assert _content(again) == fresh


def test_one_whose_schema_was_changed_is_not_lent_again(cluster: Cluster) -> None:
    with cluster.lent() as url, psycopg.connect(url) as connection:
        connection.execute("create table more (id int)")
    with cluster.lent() as other:
        assert other != url


def _content(url: str) -> dict[str, object]:
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
        )
        return {
            "sequences": sorted(
                connection.execute("select sequencename, last_value from pg_sequences").fetchall(), key=str
            ),
            **{
                name: connection.execute(
                    f"select count(*), md5(string_agg(t::text, ';' order by t::text)) from {name} t"
                ).fetchone()
                for (name,) in tables.fetchall()
            },
        }
