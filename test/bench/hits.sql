-- Page views as ClickBench has them, and a dozen queries of its kind.
-- psql variable: hits (rows).
CREATE TABLE hits (
    watch_id bigint PRIMARY KEY, event_time timestamp NOT NULL, event_date date NOT NULL, counter_id int NOT NULL,
    user_id bigint NOT NULL, region_id int NOT NULL, adv_engine_id int NOT NULL, resolution_width int NOT NULL,
    duration float8 NOT NULL, is_refresh boolean NOT NULL, price numeric(10,2) NOT NULL,
    url text NOT NULL, title text NOT NULL, search_phrase text NOT NULL);
INSERT INTO hits
    SELECT i, at, at::date, draw(i, 201, 1, 6000), draw(i, 202, 1, :hits / 6), draw(i, 203, 1, 300) * draw(i, 204, 1, 20),
        CASE WHEN draw(i, 205, 1, 20) = 1 THEN draw(i, 206, 1, 60) ELSE 0 END, draw(i, 207, 320, 2560), draw(i, 208, 0, 100000) / 64.0,
        draw(i, 209, 1, 8) = 1, draw(i, 210, 0, 99999) / 100.0,
        'http://' || draw(i, 211, '{google,example,news,shop,wiki,mail}') || '.com/page/' || draw(i, 212, 1, 20000), draw_words(i, 213),
        CASE WHEN draw(i, 217, 1, 4) = 1 THEN draw_words(draw(i, 218, 1, 5000), 219) ELSE '' END
    FROM generate_series(1, :hits) i, LATERAL (SELECT '2013-07-01'::timestamp + draw(i, 200, 0, 2678399) * interval '1 s' AS at) t;
CREATE TABLE hits_query (number int PRIMARY KEY, text text NOT NULL);
INSERT INTO hits_query VALUES
(1, 'SELECT count(*) FROM hits WHERE adv_engine_id <> 0'),
(2, 'SELECT sum(adv_engine_id), count(*), avg(resolution_width) FROM hits'),
(3, 'SELECT count(DISTINCT user_id), count(DISTINCT search_phrase) FROM hits'),
(4, 'SELECT min(event_date), max(event_date), avg(duration) FROM hits'),
(5, 'SELECT region_id, count(DISTINCT user_id) AS u FROM hits GROUP BY region_id ORDER BY u DESC, region_id LIMIT 10'),
(6, 'SELECT search_phrase, count(*) AS c FROM hits WHERE search_phrase <> '''' GROUP BY search_phrase ORDER BY c DESC, search_phrase LIMIT 10'),
(7, 'SELECT user_id, search_phrase, count(*) AS c FROM hits GROUP BY user_id, search_phrase ORDER BY c DESC, user_id, search_phrase LIMIT 10'),
(8, 'SELECT count(*) FROM hits WHERE url LIKE ''%google%'''),
(9, 'SELECT search_phrase, min(url), count(*) AS c FROM hits WHERE title LIKE ''%special%'' AND search_phrase <> '''' GROUP BY search_phrase ORDER BY c DESC, search_phrase LIMIT 10'),
(10, 'SELECT counter_id, avg(length(url)) AS l, count(*) AS c FROM hits WHERE url <> '''' GROUP BY counter_id HAVING count(*) > 20 ORDER BY l DESC, counter_id LIMIT 25'),
(11, 'SELECT date_trunc(''minute'', event_time) AS m, count(*) AS v FROM hits WHERE counter_id BETWEEN 60 AND 80 AND event_date >= date ''2013-07-14'' AND NOT is_refresh GROUP BY m ORDER BY m LIMIT 10 OFFSET 100'),
(12, 'SELECT region_id, sum(price), rank() OVER (ORDER BY sum(price) DESC) AS place FROM hits GROUP BY region_id ORDER BY place, region_id LIMIT 20');
