
=head1 NAME

ShardStore - a real S3 server on loopback behind a proxy that makes faults

=head1 SYNOPSIS

  use ShardStore;

  my $store = store_start() or plan skip_all => store_missing();
  $store->make_bucket('lakes');
  $store->fault('503', count => 3);
  my @keys = $store->list('s3://lakes/');

The server is Ceph's radosgw (test/tools/object-store.sh).  All tests share one,
each with a proxy of its own and its own names in the buckets; who runs the tests
may start it before them (store_share) and stops it after them.  Without SHARD_STORE,
the directory of the shared one, a test has one for itself.

=cut

package ShardStore;

use strict;
use warnings;
use Exporter 'import';
use Fcntl qw(:flock);
use File::Temp ();
use IO::Socket::INET;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep);

our @EXPORT = qw(store_start store_missing store_share start_tool);

my $tools = "$ENV{TESTDIR}/tools";
my @running;

# Why there is no server; undef if there can be one.
sub store_missing
{
	my $out = '';
	return undef if IPC::Run::run([ "$tools/object-store.sh", 'available' ], '>', \$out);
	chomp $out;
	return "no S3 server: $out";
}

# A port, and the three after it, that nobody listens on.
sub free_ports
{
	for (1 .. 100)
	{
		my $port = PostgreSQL::Test::Cluster::get_free_port();
		my @free = grep {
			IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port + $_, Listen => 1, ReuseAddr => 1)
		} 1 .. 3;
		return $port if @free == 3;
	}
	die 'no free ports';
}

# Start a program of test/tools in node and wait until it says that it is ready.
sub start_tool
{
	my ($program, @arguments) = @_;
	my ($in, $out, $err) = ('', '', '');
	my $handle = IPC::Run::start([ 'node', "$tools/$program", @arguments ], '<', \$in, '>', \$out, '2>', \$err);
	for (1 .. 300)
	{
		$handle->pump_nb;
		last if $out =~ /ready/;
		usleep(100_000);
	}
	die "$program: $err" unless $out =~ /ready/;
	push @running, $handle;
	return $handle;
}

my ($user_key, $user_secret) = ('LAKETESTKEY', 'a/secret+that-must=not_show');

sub start_in
{
	my ($dir) = @_;
	my $port = free_ports();
	IPC::Run::run([ "$tools/object-store.sh", 'start', $dir, $port, $user_key, $user_secret ])
	  or die 'the S3 server does not start';
	return $port;
}

# The port of the shared server, which the first who asks starts.
sub store_share
{
	my $dir = $ENV{SHARD_STORE};
	open(my $lock, '>>', "$dir.lock") or die "$dir.lock: $!";
	flock($lock, LOCK_EX) or die "$dir.lock: $!";
	if (!-s "$dir.port")
	{
		my $port = start_in($dir);
		open(my $out, '>', "$dir.port") or die "$dir.port: $!";
		print $out $port;
		close($out) or die "$dir.port: $!";
	}
	open(my $in, '<', "$dir.port") or die "$dir.port: $!";
	return <$in> + 0;
}

sub store_start
{
	my $dir = File::Temp::tempdir('shard-s3-XXXXXX', DIR => '/tmp', CLEANUP => 0);
	my $own = ($ENV{SHARD_STORE} // '') eq '';
	my $self = bless { dir => $dir, own => $own, key => $user_key, secret => $user_secret }, __PACKAGE__;
	push @running, $self;
	$self->{port} = $own ? start_in("$dir/s") : store_share();
	$self->{proxy} = free_ports();
	$self->{endpoint} = "http://127.0.0.1:$self->{proxy}";
	start_tool('fault-proxy.mjs', $self->{proxy}, $self->{port});
	return $self;
}

# A way to the server by TLS: its port, and the file of the authority that signed
# its certificate, which nobody knows.
sub tls
{
	my ($self) = @_;
	my $dir = $self->{dir};
	my $port = free_ports();
	my $openssl = sub {
		my $err = '';
		IPC::Run::run([ 'openssl', @_ ], '>', '/dev/null', '2>', \$err) or die "openssl @_: $err";
	};
	append_to_file("$dir/names", "subjectAltName = DNS:localhost, DNS:lakes.localhost, IP:127.0.0.1\n");
	$openssl->('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=authority of a test',
		'-keyout', "$dir/ca.key", '-out', "$dir/ca.pem");
	$openssl->('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=localhost', '-keyout', "$dir/tls.key", '-out', "$dir/tls.csr");
	$openssl->('x509', '-req', '-in', "$dir/tls.csr", '-CA', "$dir/ca.pem", '-CAkey', "$dir/ca.key", '-CAcreateserial',
		'-days', '2', '-extfile', "$dir/names", '-out', "$dir/tls.pem");
	start_tool('fault-proxy.mjs', $port, $self->{port}, "$dir/tls.pem", "$dir/tls.key");
	return ($port, "$dir/ca.pem");
}

# Run s3.mjs, which talks to the server without the proxy.
sub client
{
	my ($self, $input, @arguments) = @_;
	local $ENV{S3_ENDPOINT} = "http://127.0.0.1:$self->{port}";
	local $ENV{S3_KEY} = $self->{key};
	local $ENV{S3_SECRET} = $self->{secret};
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'node', "$tools/s3.mjs", @arguments ], '<', \$input, '>', \$out, '2>', \$err)
	  or die "s3.mjs @arguments: $err";
	return $out;
}

sub make_bucket { my ($self, $name) = @_; return $self->client('', 'make-bucket', "s3://$name"); }
sub list { my ($self, $url) = @_; return split /\n/, $self->client('', 'list', $url); }

sub ask_proxy
{
	my ($self, $method, $path) = @_;
	my $socket = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{proxy}) or die "proxy: $!";
	print $socket "$method $path HTTP/1.0\r\nContent-Length: 0\r\n\r\n";
	local $/;
	my $answer = <$socket>;
	return $answer =~ s/^.*?\r\n\r\n//sr;
}

sub fault
{
	my ($self, $mode, %options) = @_;
	$self->ask_proxy('POST', "/__fault?mode=$mode" . join('', map { "&$_=$options{$_}" } sort keys %options));
	return;
}

# What has been asked of the server since the last call.
sub requests { my ($self) = @_; return @{ JSON::PP->new->decode($self->ask_proxy('GET', '/__requests')) }; }

# Temporary credentials: key, secret and token.
sub session { my ($self) = @_; return split /\n/, $self->client('', 'session'); }

# SQL that makes a foreign server use it.
sub options { my ($self) = @_; return "endpoint '$self->{endpoint}'"; }
sub credentials
{
	my ($self) = @_;
	return "access_key_id '$self->{key}', secret_access_key '$self->{secret}'";
}

END
{
	my $status = $?;
	for my $thing (reverse @running)
	{
		if (ref $thing eq __PACKAGE__)
		{
			system("$tools/object-store.sh", 'stop', "$thing->{dir}/s") if $thing->{own};
			system('rm', '-rf', $thing->{dir});
		}
		else
		{
			$thing->kill_kill(grace => 2);
		}
	}
	$? = $status;
}

1;
