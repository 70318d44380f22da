# Rules of this repository that no compiler checks, as TAP: who may include
# whom, what every file begins with, and what must not be in any.

use strict;
use warnings;
use Test::More;

my $top = shift // '.';
chdir $top or die "$top: $!";

# Folders of src/ and the folders whose headers they may include, besides their
# own.  docs/architecture.md says the same in words.
my %may_include = (
	base => [],
	router => [qw(base)],
	catalog => [qw(base router)],
	table => [qw(base router catalog)],
	wire => [qw(base)],
	engine => [qw(base wire router)],
	client => [qw(base wire)],
	lake => [qw(base wire client)],
	command => [qw(base router catalog table)],
	pipeline => [qw(base router catalog wire client lake)],
	fdw => [qw(base wire client lake pipeline)],
	maintain => [qw(base wire client lake pipeline)],
	migration => [qw(base router catalog table wire client lake)],
	monitor => [qw(base router catalog table wire client lake command pipeline fdw migration)]);

# Of these folders only some headers may be included from elsewhere.
my %only_headers = (
	'engine base' => [qw(base/portable.h)],
	'engine router' => [qw(router/hash.h)],
	'wire base' => [qw(base/portable.h)]);

sub content
{
	my ($file) = @_;
	open(my $in, '<:raw', $file) or die "$file: $!";
	local $/;
	my $text = <$in>;
	close($in);
	return $text // '';
}

# What is kept in git, or, outside of git, what is there.
sub files
{
	my @files = split /\n/, `git ls-files --cached --others --exclude-standard 2>/dev/null`;
	@files = split /\n/, `find . -type f -not -path './build/*' -not -path './.git/*' -not -name '*.[od]' -not -name '*.so' -not -name '*.bc' -not -name 'shard--*' | sed 's|^./||'`
	  unless @files;
	return grep { -f } @files;
}

# One check with the list of what breaks it.
sub none
{
	my ($name, @bad) = @_;
	ok(!@bad, $name) or diag(join("\n", @bad));
	return;
}

sub folder { return $_[0] =~ m{^src/(\w+)/} ? $1 : '' }

my @files = files();
my @sources = grep { m{^src/.*\.[ch]$} } @files;
my @text = grep { !m{^(LICENSE|sql/[^/]*\.sql$|expected/|.*expected/.*\.out$)|(^|/)data/} && -T } @files;
cmp_ok(scalar(@sources), '>', 10, 'sources are found');

# ---- versions of PostgreSQL ----

my %of_compat = (
	pg_attribute_noreturn => "pg_noreturn",
	"commands/explain.h" => "base/explain_compat.h");
for my $word (sort keys %of_compat)
{
	none("$of_compat{$word} instead of $word",
		grep { !m{^src/base/} && content($_) =~ /\Q$word\E/ } @sources);
}

# ---- includes ----

my %includes;    # file => files of src/ that it includes
for my $file (@sources)
{
	$includes{$file} = [];
	my $text = content($file);
	while ($text =~ /^\s*#\s*include\s+"([^"]+)"/mg)
	{
		push @{ $includes{$file} }, "src/$1" if -f "src/$1";
	}
}

my @forbidden;
for my $file (@sources)
{
	my $from = folder($file);
	next if $from eq '';
	for my $header (@{ $includes{$file} })
	{
		my $to = folder($header);
		next if $to eq $from;
		my $only = $only_headers{"$from $to"};
		my $allowed = (grep { $_ eq $to } @{ $may_include{$from} // [] })
		  && (!$only || grep { "src/$_" eq $header } @$only);
		push @forbidden, "$file includes $header" unless $allowed;
	}
}
none('includes follow the table of folders', @forbidden);
none('every folder is in the table of folders',
	grep { $_ ne '' && !$may_include{$_} } map { folder($_) } @sources);

# Depth-first search for a circle; the path that closes one, or undef.
my %state;

sub circle
{
	my ($file, @path) = @_;
	return join(' -> ', @path, $file) if ($state{$file} // '') eq 'open';
	return undef if ($state{$file} // '') eq 'done';
	$state{$file} = 'open';
	for my $header (@{ $includes{$file} // [] })
	{
		my $found = circle($header, @path, $file);
		return $found if defined $found;
	}
	$state{$file} = 'done';
	return undef;
}
none('includes form no circle', grep { defined } map { circle($_) } @sources);

none('only the engine knows DuckDB',
	grep { folder($_) ne 'engine' && content($_) =~ /^\s*#\s*include\s+["<]duckdb\.h/m } @sources);
none('pure folders know no PostgreSQL', grep {
		my $c = content($_);
		folder($_) =~ /^(router|wire|engine)$/ && $c =~ /^\s*#\s*include\s+["<](postgres|fmgr|executor|utils|catalog)\b[^">]*\.h/m
		  && $c !~ /^\s*#\s*include\s+"router\//m && folder($_) ne 'router'
	} @sources);
none('postgres.h is the first include of every file that has it', grep {
		my ($first) = content($_) =~ /^\s*#\s*include\s+["<]([^">]+)/m;
		/\.c$/ && content($_) =~ /^\s*#\s*include\s+"postgres\.h"/m && $first ne 'postgres.h'
	} @sources);

# ---- how files begin, and how long they are ----

none('every C file opens with a comment', grep { content($_) !~ m{^/\*} } grep { /\.[ch]$/ } @files);
none('every C file names itself in its first comment', grep {
		my ($name) = m{([^/]+)$};
		content($_) !~ m{\A(/\*[^\n]*\*/\n)?/\*\n \* \Q$name\E\n}
	} @sources);
none('every SQL fragment opens with a comment that says something',
	grep { content($_) !~ /\A-- \S+ \S+/ } grep { m{^sql/install/} } @files);
none('every script opens with a comment', grep {
		content($_) !~ m{\A(#!.*\n)?\s*(#|//|--|=head)}
	} grep { m{^(test|\.ci)/} && !m{/data/} && !/\.(out|spec|txt|md|h|c|json)$/ && -T } @files);
none('no source is longer than 1200 lines',
	grep { (() = content($_) =~ /\n/g) > 1200 } @sources);

# ---- what must not be there ----

my $unfinished = join('|', map { join('', @$_) } [ 'TO', 'DO' ], [ 'FIX', 'ME' ], [ 'X', 'XX' ], [ 'HA', 'CK' ]);
none('nothing is marked unfinished', grep { content($_) =~ /\b(?:$unfinished)\b/ } grep { $_ ne 'test/lint/lint.pl' } @text);
none('no trailing white space', grep { content($_) =~ /[ \t]+$/m } grep { !/\.(out|md)$/ } @text);
none('every text file ends with a newline', grep { my $c = content($_); $c ne '' && $c !~ /\n\z/ } @text);
none('C is indented with tabs', grep { content($_) =~ /^ {4,}\S/m } grep { /\.[ch]$/ && !/test\/unit/ } @files);
none('no fixed waits in sources', grep { content($_) =~ /\b(pg_usleep|usleep|sleep)\s*\(/ } @sources);
none('no address of another machine', grep {
		my $c = content($_);
		my $bad = 0;
		while ($c =~ m{\bhttps?://([\w.-]+)}g)
		{
			$bad = 1 unless $1 =~ /^(localhost|127\.0\.0\.1|(www\.|iceberg\.|parquet\.|avro\.)?apache\.org|www\.postgresql\.org|.*\.example|example\.(com|org))$/;
		}
		$bad
	} @text);
none('no path of one machine', grep { content($_) =~ m{(?<![\w.\$\}])/(work|home|root)/\w} } grep { $_ ne 'test/lint/lint.pl' } @text);

# ---- tests that belong together ----

none('every regression test has its expected output',
	grep { !-f } map { m{^sql/(\w+)\.sql$} ? "expected/$1.out" : () } @files);
none('every expected output has its regression test',
	grep { !-f } map { m{^expected/(\w+?)(_\d)?\.out$} ? "sql/$1.sql" : () } @files);
none('every isolation test has its expected output',
	grep { !-f } map { m{^test/isolation/specs/([\w-]+)\.spec$} ? "test/isolation/expected/$1.out" : () } @files);

# ---- scripts parse ----

for my $file (@files)
{
	my $first = (content($file) =~ /\A(.*)/)[0];
	if ($first =~ m{^#!.*\bbash} || ($file =~ /\.sh$/ && -T $file))
	{
		my $out = `bash -n '$file' 2>&1`;
		ok($? == 0, "$file parses") or diag($out);
	}
	elsif ($file =~ /\.mjs$/)
	{
		my $out = `node --check '$file' 2>&1`;
		ok($? == 0, "$file parses") or diag($out);
	}
}

done_testing();
